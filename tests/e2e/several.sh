#!/usr/bin/env bash
# Several disks of one machine in one deployment: all or none is begun, and the machine's own comes last.
# timeout: 300
. "$(dirname "$0")/../lab/lib.sh"
. "$LAB_HERE/proof.sh"
lab_begin
store=$LAB/store

prepare() {
  folder=$("$LAB_HERE/make-image" --variant tiny)
  image=$folder/disk.img
  size=$(stat -c %s "$image")
  import_image "$image" tiny:1 "$store" >/dev/null
  head -c 20000000 /dev/urandom >"$LAB/data"
  truncate -s 30M "$LAB/data"
  import_image "$LAB/data" data:1 "$store" >/dev/null
  make_network 1
  start_depot "$store" --multicast off
  # Enrolled once; the deployments below need no token.
  new_token "$store" "$LAB/token"
  deploy data:1 --disk "file:$LAB/first.out" --token-file "$LAB/token"
}

# deploy NAME:TAG [option…]
deploy() {
  local name=$1
  shift
  rm -f "$LAB"/receipt*
  in_node 1 "$STAMPEDE" deploy "$name" --depot "$(depot_address)" --state "$LAB/state" --receipt "$LAB/receipt" "$@"
}
# in_receipt FILE EXPRESSION
in_receipt() { jq -e "$2" "$LAB/$1" || no "$1 does not say $2: $(cat "$LAB/$1")"; }
sums() { sha256sum "$@" 2>&1; }

three_disks() {
  need stampede loop
  local disk group
  blank_disk "$LAB/a.img" "$size"
  disk=$(attach_disk "$LAB/a.img")
  deploy tiny:1 --disk "dev:$disk" --also "data:1=file:$LAB/b.img" --also "tiny:1=file:$LAB/c.qcow2" --hostname trio \
    --progress json >"$LAB/events"
  same_bytes "$LAB/b.img" "$LAB/data"
  qemu-img compare "$LAB/c.qcow2" "$image" || no "the second copy is not the image"
  differences "$LAB/a.img" "$folder" || no "more than first boot's files differs"
  read_in_root "$LAB/a.img" /var/lib/cloud/seed/nocloud/meta-data | grep -q trio || no "wrong hostname"
  for file in receipt receipt.1 receipt.2; do in_receipt $file '.verdict == "success" and .bytes.durable == .bytes.total'; done
  group=$(jq -s 'map(.group) | unique | length' "$LAB"/receipt "$LAB"/receipt.?)
  [ "$group" = 1 ] && in_receipt receipt '.group | length == 32'
  [ "$(jq -s 'map(.deployment) | unique | length' "$LAB"/receipt "$LAB"/receipt.?)" = 3 ]
  in_receipt receipt.1 ".name == \"data:1\" and .changed_files == []"
  # In that order, each with its name.
  [ "$(jq -r 'select(.event == "finished").disk' "$LAB/events" | paste -sd' ')" = "file:$LAB/b.img file:$LAB/c.qcow2 dev:$disk" ] ||
    no "the disks came in another order: $(jq -c 'select(.event == "finished")' "$LAB/events")"
  [ "$("$STAMPEDE" receipt list --store "$store" --json | jq '[.[] | select(.verdict == "success")] | length')" -ge 4 ]
}

# One that may not be written: nothing is written to the others, and no file is made.
one_is_refused() {
  need stampede loop
  local disk before
  head -c 1M /dev/urandom >"$LAB/foreign.img"
  truncate -s "$size" "$LAB/foreign.img"
  blank_disk "$LAB/d.img" "$size"
  disk=$(attach_disk "$LAB/d.img")
  before=$(sums "$LAB/foreign.img" "$LAB/d.img")
  local also
  for also in "tiny:1=file:$LAB/foreign.img 19" "none:1=file:$LAB/e.img 60" "data:1=dev:/dev/none 10" "data:1=dev:$disk 2" \
    "data:1=file:$LAB/d.img 13" "data:1=file:$LAB/none/e.img 2"; do
    expect_status "${also##* }" deploy tiny:1 --disk "dev:$disk" --also "data:1=file:$LAB/f.img" --also "${also% *}" --progress none
    expect_said "no disk is written"
    [ "$(sums "$LAB/foreign.img" "$LAB/d.img")" = "$before" ] || no "written, though ${also% *} was refused"
    [ ! -e "$LAB/e.img" ] && [ ! -e "$LAB/f.img" ] || no "a file is left, though ${also% *} was refused"
    in_receipt receipt '.verdict == "refused" and .code != 0'
    in_receipt receipt.2 '.verdict == "refused" and .code != 0'
  done
  expect_status 44 deploy tiny:1 --disk "dev:$disk" --also "data:1=file:$LAB/f.img" --memory 32M
  expect_said "no disk is written"
  [ "$(sums "$LAB/foreign.img" "$LAB/d.img")" = "$before" ] && [ ! -e "$LAB/f.img" ] || no "written, though it takes too much memory"
  expect_status 2 deploy tiny:1 --disk "dev:$disk" --also "file:$LAB/e.img"
  expect_status 13 deploy tiny:1 --disk "file:$LAB/d.img" --dry-run --also "data:1=file:$LAB/f.img"
  expect_status 0 deploy tiny:1 --disk "dev:$disk" --dry-run --also "data:1=file:$LAB/f.img"
  expect_said 'tiny:1 .* would be written'
  expect_said 'data:1 .* would be written'
  [ "$(sums "$LAB/foreign.img" "$LAB/d.img")" = "$before" ] && [ ! -e "$LAB/f.img" ] || no "written by a dry run"
  # Each is named by an --overwrite of its own.
  echo other | dd of="$LAB/d.img" conv=notrunc status=none
  expect_status 0 deploy tiny:1 --disk "dev:$disk" --also "tiny:1=file:$LAB/foreign.img" --overwrite "$LAB/foreign.img" --overwrite "$disk"
  same_bytes "$LAB/foreign.img" "$image"
  same_bytes "$LAB/d.img" "$image"
  expect_said "the same GUIDs and UUIDs"
  # One that this site deployed needs none, also where another of them does.
  echo other >"$LAB/i.img"
  truncate -s "$size" "$LAB/i.img"
  expect_status 19 deploy tiny:1 --disk "file:$LAB/foreign.img" --overwrite "$LAB/i.img"
  expect_status 0 deploy tiny:1 --disk "file:$LAB/foreign.img" --also "tiny:1=file:$LAB/i.img" --overwrite "$LAB/i.img" --dry-run
  expect_status 0 deploy tiny:1 --disk "file:$LAB/foreign.img" --also "tiny:1=file:$LAB/i.img" --overwrite "$LAB/i.img"
  same_bytes "$LAB/i.img" "$image"
}

have_small_file_system() {
  mkdir -p "$LAB/small"
  mount -t tmpfs -o size=8M stampede-test "$LAB/small" 2>/dev/null || { echo "cannot mount a tmpfs here"; return 1; }
}
one_fails() {
  need stampede loop small_file_system
  local disk before
  later umount "$LAB/small"
  blank_disk "$LAB/g.img" "$size"
  disk=$(attach_disk "$LAB/g.img")
  before=$(sums "$LAB/g.img")
  expect_status 53 deploy tiny:1 --disk "dev:$disk" --also "data:1=file:$LAB/h.img" --also "data:1=file:$LAB/small/full.img" --progress none
  expect_said "data:1 onto file:$LAB/small/full.img: cannot write .*; done: data:1 onto file:$LAB/h.img; not begun: tiny:1 onto dev:$disk"
  same_bytes "$LAB/h.img" "$LAB/data"
  [ "$(sums "$LAB/g.img")" = "$before" ] || no "the machine's own disk was begun"
  in_receipt receipt '.verdict == "refused" and .code == 53 and (.error | startswith("not begun: "))'
  in_receipt receipt.1 '.verdict == "success"'
  in_receipt receipt.2 '.verdict == "failure" and .code == 53'
}

if ! have_stampede >/dev/null; then say "nothing is built"; else prepare; fi
run_case "three disks, two images" 60 three_disks
run_case "one that is refused refuses all" 60 one_is_refused
run_case "after one that fails none is begun" 60 one_fails
end_cases

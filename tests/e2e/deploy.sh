#!/usr/bin/env bash
# Deployments that go well: several machines at once, with and without an identity of their own.
# timeout: 600
. "$(dirname "$0")/../lab/lib.sh"
. "$LAB_HERE/proof.sh"
lab_begin
store=$LAB/store

prepare() {
  image=$("$LAB_HERE/make-image" --variant tiny)
  sealed=$(import_image "$image/disk.img" tiny:1 "$store" | jq -e .new_sealed)
  image_tree "$image" >/dev/null
  make_network 4 1gbit
  # Of a small image on a busy machine half may be over before the last of four joins, and is then sent again.
  start_depot "$store" --min-receivers 4 --wait 2s
}

fresh_disk() {
  blank_disk "$LAB/disk-$1.img" "$(stat -c %s "$image/disk.img")"
  disk=dev:$(attach_disk "$LAB/disk-$1.img")
}

# deploy_all N [option…]: to N fresh disks at once; "{}" in an option is the machine's number.
deploy_all() {
  local n=$1 i before pids=()
  shift
  new_token "$store" "$LAB/token" --uses "$n"
  before=$(sent_by depot)
  for ((i = 1; i <= n; i++)); do
    fresh_disk "$i"
    start_deploy "$i" "node-$i" tiny:1 "$LAB/token" "$disk" "${@//\{\}/$i}"
    pids+=("$STARTED")
  done
  for ((i = 0; i < n; i++)); do await "${pids[i]}" "node-$((i + 1))" || no "node-$((i + 1)) failed: $(tail -n 1 "$LAB/node-$((i + 1)).log")"; done
  sent=$(($(sent_by depot) - before))
}

four_identical() {
  need stampede namespaces loop
  local i
  deploy_all 4
  for i in 1 2 3 4; do same_bytes "$LAB/disk-$i.img" "$image/disk.img"; done
  for i in 1 2 3 4; do check_receipt "$i"; done
  remark "the depot sent $sent bytes; sealed $sealed"
  [ "$sent" -le $((2 * sealed)) ] || no "the depot sent $sent bytes for a sealed image of $sealed"
}

check_receipt() {
  local receipt=$LAB/node-$1.receipt
  jq -e '.verdict == "success" and .code == 0 and .error == "" and .bytes.durable == .bytes.total and .changed_files == []
    and ([.stages[].name] == ["connect", "plan", "transfer", "flush", "read-back", "fit", "first-boot", "commit"])' "$receipt" ||
    no "the receipt of node-$1 is not that of a success: $(cat "$receipt")"
  jq -e --argjson sealed "$sealed" '.bytes.depot + .bytes.peers + .bytes.multicast >= $sealed * 0.95' "$receipt" || no "the receipt of node-$1 counts too few bytes"
  tail -n 1 "$LAB/node-$1.out" | jq -e '.event == "finished" and .verdict == "success" and .receipt_delivered' ||
    no "the last event of node-$1 is not a finish"
}

receipts_are_kept() {
  need stampede namespaces loop
  local number count=0
  for number in $("$STAMPEDE" receipt list --store "$store" --json | jq '.[] | select(.verdict == "success").number'); do
    "$STAMPEDE" receipt verify "$number" --store "$store" --json | jq -e .valid
    "$STAMPEDE" receipt show "$number" --store "$store" --json | jq -e '.name == "tiny:1"'
    count=$((count + 1))
  done
  [ "$count" -ge 4 ] || no "the depot keeps $count receipts of success"
}

four_customised() {
  need stampede namespaces loop
  local i
  for i in 1 2 3 4; do
    cat >"$LAB/instance-$i.yaml" <<YAML
hostname: node-$i
roles: [base, role-$i]
network: {version: 2, ethernets: {lan: {match: {name: "en*"}, addresses: [10.77.1.$i/24]}}}
ssh_keys: ["$(key_of "$i")"]
user_data: |
  #cloud-config
  package_update: false
YAML
  done
  deploy_all 4 --instance "$LAB/instance-{}.yaml"
  for i in 1 2 3 4; do check_customised "$i"; done
}
key_of() { echo "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI$(printf '%043d' "$1" | tr 0 A) who@$1"; }

check_customised() {
  local disk=$LAB/disk-$1.img seed=/var/lib/cloud/seed/nocloud
  differences "$disk" "$image" >"$LAB/differences" || no "more than first boot's files differs: $(cat "$LAB/differences")"
  cat "$LAB/differences"
  sound_root "$disk" || no "e2fsck is not content with node-$1"
  [ "$(read_in_root "$disk" /etc/stampede/roles)" = "base"$'\n'"role-$1" ] || no "wrong roles on node-$1"
  read_in_root "$disk" $seed/meta-data | tee "$LAB/meta" | grep -Eq "^local-hostname: \"?node-$1\"?\$" || no "wrong hostname in $(cat "$LAB/meta")"
  grep -q '^instance-id: ' "$LAB/meta" || no "no instance-id in the seed"
  read_in_root "$disk" $seed/network-config | grep -q "10.77.1.$1/24" || no "wrong network on node-$1"
  { read_in_root "$disk" $seed/user-data; cat "$LAB/meta"; } | grep -qF "$(key_of "$1")" || no "the key is missing on node-$1"
  [ -z "$(read_in_root "$disk" /etc/machine-id | tr -d '\n')" ] || no "node-$1 keeps the template's machine-id"
  ! grep -q 'ssh_host' <(tree_of "$disk") || no "node-$1 keeps the template's host keys"
  outside_root "$disk" "$image/disk.img" || no "node-$1 differs from the image outside the root file system"
}

# Partition tables and everything but the root partition are as in the image.
outside_root() {
  local at
  read -ra at < <(partition_of "$2" "$ROOT_TYPE")
  cmp -n "${at[1]}" "$1" "$2" && cmp -i "$((at[1] + at[2]))" "$1" "$2"
}

flags_are_shorthand() {
  need stampede
  local target=$LAB/flags.img
  echo "{version: 2, ethernets: {eth0: {dhcp4: true}}}" >"$LAB/net.yaml"
  key_of 7 >"$LAB/key.pub"
  printf '#!/bin/sh\necho first-boot-marker\n' >"$LAB/user-data"
  new_token "$store" "$LAB/token-f"
  start_deploy 1 flags tiny:1 "$LAB/token-f" "file:$target" --hostname flagged --role one --role two --network "$LAB/net.yaml" \
    --ssh-key "$LAB/key.pub" --user-data "$LAB/user-data"
  await "$STARTED" flags || no "$(tail -n 1 "$LAB/flags.log")"
  [ "$(stat -c %s "$target")" = "$(stat -c %s "$image/disk.img")" ] || no "the file was not made at the image's size"
  [ "$(read_in_root "$target" /etc/stampede/roles | paste -sd,)" = one,two ] || no "wrong roles"
  read_in_root "$target" /var/lib/cloud/seed/nocloud/meta-data | grep -q flagged || no "wrong hostname"
  read_in_root "$target" /var/lib/cloud/seed/nocloud/network-config | grep -q eth0 || no "wrong network"
  read_in_root "$target" /var/lib/cloud/seed/nocloud/user-data | grep -q first-boot-marker || no "wrong user data"
  sound_root "$target" || no "e2fsck is not content"
}

# A second deployment by the same node needs no token; a file that is there is not written unless it is named.
second_run() {
  need stampede
  local target=$LAB/again.img deploy
  new_token "$store" "$LAB/token-s"
  deploy=(in_node 1 "$STAMPEDE" deploy tiny:1 --depot "$(depot_address)" --state "$LAB/again.state" --disk "file:$target" --progress none)
  expect_status 0 "${deploy[@]}" --token-file "$LAB/token-s"
  # What this site put there it may replace; what somebody else did since is not its own.
  expect_status 0 "${deploy[@]}"
  expect_said "which this site deployed"
  same_bytes "$target" "$image/disk.img"
  sgdisk --disk-guid=R "$target" >/dev/null
  expect_status 19 "${deploy[@]}"
  expect_said "$target"
  expect_status 19 "${deploy[@]}" --overwrite "$LAB/other.img"
  expect_status 0 "${deploy[@]}" --overwrite "$target" --hostname second
  read_in_root "$target" /var/lib/cloud/seed/nocloud/meta-data | grep -q second || no "not written again"
}

# What was on the disk before shows nowhere, also where the image has zeros; where its file systems have nothing, if asked.
dirty_disk() {
  need stampede loop
  local file=$LAB/dirty.img size dev
  size=$(stat -c %s "$image/disk.img")
  head -c "$size" /dev/zero | tr '\0' '\252' >"$file"
  dev=$(attach_disk "$file")
  new_token "$store" "$LAB/token-d"
  start_deploy 2 dirty tiny:1 "$LAB/token-d" "dev:$dev" --overwrite "$dev"
  await "$STARTED" dirty || no "$(tail -n 1 "$LAB/dirty.log")"
  same_but_free "$file" "$image/disk.img" || no "more than free space differs"
  new_token "$store" "$LAB/token-e"
  start_deploy 2 cleared tiny:1 "$LAB/token-e" "dev:$dev" --overwrite "$dev" --unspecified zero
  await "$STARTED" cleared || no "$(tail -n 1 "$LAB/cleared.log")"
  same_bytes "$file" "$image/disk.img"
}

bigger_disk() {
  need stampede loop
  local file=$LAB/bigger.img size
  size=$(stat -c %s "$image/disk.img")
  blank_disk "$file" $((size + 77 * 1048576))
  new_token "$store" "$LAB/token-b"
  start_deploy 3 bigger tiny:1 "$LAB/token-b" "dev:$(attach_disk "$file")"
  await "$STARTED" bigger || no "$(tail -n 1 "$LAB/bigger.log")"
  # But for the partition table: after.sh
  cmp -i 1048576 -n $((size - 1048576 - 33 * 512)) "$file" "$image/disk.img" || no "the disk does not begin with the image"
}

import_while_serving() {
  need stampede
  head -c 3000000 /dev/urandom >"$LAB/late.img"
  new_token "$store" "$LAB/token-l"
  start_deploy 4 early late:1 "$LAB/token-l" "file:$LAB/late-1.out"
  await "$STARTED" early 60 || no "deploying what is not there: $(tail -n 1 "$LAB/early.log")"
  [ ! -e "$LAB/late-1.out" ] || no "a disk was made for an image that is not there"
  import_image "$LAB/late.img" late:1 "$store"
  start_deploy 4 early late:1 "$LAB/token-l" "file:$LAB/late-1.out"
  await "$STARTED" early || no "$(tail -n 1 "$LAB/early.log")"
  same_bytes "$LAB/late-1.out" "$LAB/late.img"
}

# Sizes that fill no block, an image of zeros, and one larger than all slabs.
odd_images() {
  need stampede
  local size
  truncate -s 10000001 "$LAB/odd.zero"
  head -c 1 /dev/urandom >"$LAB/odd.1"
  head -c 1000001 /dev/urandom >"$LAB/odd.1000001"
  head -c 90000123 /dev/urandom >"$LAB/odd.90000123"
  for size in zero 1 1000001 90000123; do
    import_image "$LAB/odd.$size" "odd:$size" "$store" >/dev/null
    new_token "$store" "$LAB/token-o"
    start_deploy 1 "odd-$size" "odd:$size" "$LAB/token-o" "file:$LAB/odd.$size.out"
    await "$STARTED" "odd-$size" || no "$size: $(tail -n 1 "$LAB/odd-$size.log")"
    same_bytes "$LAB/odd.$size.out" "$LAB/odd.$size"
  done
}

if ! have_stampede >/dev/null; then say "nothing is built"; else prepare; fi
run_case "four disks at once, each identical to the image" 120 four_identical
run_case "four disks at once, each its own machine" 120 four_customised
run_case "the depot keeps signed receipts" 60 receipts_are_kept
run_case "flags are the instance file's shorthand" 60 flags_are_shorthand
run_case "a second run needs no token, and --overwrite" 60 second_run
run_case "old content of a disk shows nowhere" 60 dirty_disk
run_case "a disk larger than the image" 60 bigger_disk
run_case "an import shows in a running depot" 60 import_while_serving
run_case "images of odd sizes" 120 odd_images
end_cases

#!/usr/bin/env bash
# What an import leaves out and what it does not: free space on its way through store and deployment; a disk as the source; an
# import that is killed.
# timeout: 300
# lane: store
. "$(dirname "$0")/../lab/lib.sh"
. "$LAB_HERE/proof.sh"
lab_begin
store=$LAB/store
. "$LAB_HERE/one_node.sh"

# The tiny image with 40 MiB of a file that was deleted, and swap space that was used: $used.
prepare() {
  local at
  prepare_one_node
  used=$LAB/used.img
  cp --sparse=always "$image" "$used"
  read -ra at < <(partition_of "$used" "$ROOT_TYPE")
  perl -e 'print "a secret of those who had this disk before\n" x 1000000' >"$LAB/secret"
  debugfs -w -R "write $LAB/secret secret" "$used?offset=${at[1]}" 2>/dev/null
  debugfs -w -R "rm secret" "$used?offset=${at[1]}" 2>/dev/null
  e2fsck -fn "$used?offset=${at[1]}" >/dev/null
}
secrets() { grep -ac 'a secret of those' "$1" || true; }

left_out() {
  need stampede
  import_image "$used" used:1 "$store" | tee "$LAB/used.json"
  jq -e '.left_out >= 40000000 and .unspecified > .left_out and .data + .zero + .unspecified == .disk and .taken_whole == []' "$LAB/used.json" ||
    no "free space is not told"
  # The file was made and deleted: what differs from the image is the file system's own.
  jq -e '.new < 3000000' "$LAB/used.json" || no "free space is stored"
  "$STAMPEDE" image export used:1 --output "$LAB/out" --store "$store"
  same_but_free "$LAB/out" "$used" || no "the export differs in more than free space"
  [ "$(secrets "$used")" -gt 0 ] && [ "$(secrets "$LAB/out")" = 0 ] || no "what was deleted is still there"
  sound_root "$LAB/out" || no "e2fsck is not content"
  tree_of "$used" >"$LAB/tree.used"
  tree_of "$LAB/out" | cmp - "$LAB/tree.used" || no "files differ"
  rm "$LAB/out"
}

all_blocks() {
  need stampede
  "$STAMPEDE" image import "$used" whole:1 --store "$store" --all-blocks --json | jq -e '.unspecified == 0 and .new > 100000'
  "$STAMPEDE" image export whole:1 --output "$LAB/out" --store "$store"
  same_bytes "$used" "$LAB/out"
  rm "$LAB/out"
}

# Onto a disk that was somebody else's, whose free space stays what it was.
deployed() {
  need stampede loop namespaces
  local disk status=0
  head -c "$size" /dev/urandom >"$LAB/disk.img"
  disk=$(attach_disk "$LAB/disk.img")
  deploy used:1 "dev:$disk" --overwrite "$disk"
  same_but_free "$LAB/disk.img" "$used" || no "the disk differs from the image in more than free space"
  sound_root "$LAB/disk.img" || no "e2fsck is not content"
  tree_of "$LAB/disk.img" | cmp - "$LAB/tree.used" || no "files differ"
  in_node 1 "$STAMPEDE" drift --disk "dev:$disk" --depot "$(depot_address)" --state "$LAB/state" --strict || no "free space counts as drift"
  # Once more, onto itself: nothing of it is fetched.
  deploy used:1 "dev:$disk" --overwrite "$disk" --delta always
  in_receipt '.bytes.depot < 10000'
  # And with what free space held before gone.
  deploy used:1 "dev:$disk" --overwrite "$disk" --unspecified zero
  same_but_free "$LAB/disk.img" "$used" || no "the disk differs from the image in more than free space"
  [ "$(stat -c %b "$LAB/disk.img")" -lt 300000 ] || no "free space was not zeroed"
}

from_a_disk() {
  need stampede loop
  local disk
  cp --sparse=always "$used" "$LAB/golden.img"
  disk=$(attach_disk "$LAB/golden.img")
  "$STAMPEDE" image import --from-disk "dev:$disk" golden:1 --store "$store" --json | tee "$LAB/golden.json"
  [ "$(jq -r .image "$LAB/golden.json")" = "$(jq -r .image "$LAB/used.json")" ] || no "another image than from the file"
  expect_status 10 "$STAMPEDE" image import --from-disk serial:nosuch golden:2 --store "$store"
  expect_status 2 "$STAMPEDE" image import --from-disk "file:$LAB/golden.img" golden:2 --store "$store"
  expect_status 2 "$STAMPEDE" image import --from-disk "dev:$disk" "$LAB/golden.img" golden:2 --store "$store"
  mkfs.ext4 -q "$disk"
  mkdir -p "$LAB/mounted"
  mount "$disk" "$LAB/mounted"
  expect_status 14 "$STAMPEDE" image import --from-disk "dev:$disk" golden:2 --store "$store"
  expect_said "$LAB/mounted"
  umount "$LAB/mounted"
  expect_status 0 "$STAMPEDE" image import --from-disk "dev:$disk" golden:2 --store "$store"
}

# Killed again and again, at other moments: each run finds what the ones before had packed, and the last one has little to do.
killed() {
  need stampede
  local i began whole
  head -c 400000000 /dev/urandom >"$LAB/large"
  began=$EPOCHREALTIME
  import_image "$LAB/large" large:1 "$LAB/other-store" >/dev/null
  whole=$(since "$began")
  RANDOM=${SEED:-$$}
  for ((i = 1; i <= 6; i++)); do
    start import "$STAMPEDE" image import "$LAB/large" large:1 --store "$LAB/kill-store"
    sleep "$(awk -v r=$RANDOM -v w="$whole" 'BEGIN { print w * (0.2 + 0.6 * r / 32767) }')"
    kill -KILL "$STARTED" || true
    wait "$STARTED" || true
  done
  import_image "$LAB/large" large:1 "$LAB/kill-store" | tee "$LAB/large.json"
  jq -e '.shared > 40000000 and .new + .shared == 400000000' "$LAB/large.json" || no "what was packed is not used"
  remark "$(jq '.shared / 4000000 | round' "$LAB/large.json") % was there already after six kills"
  "$STAMPEDE" store check --store "$LAB/kill-store" || no "the store is not sound"
  "$STAMPEDE" image export large:1 --output "$LAB/out" --store "$LAB/kill-store"
  same_bytes "$LAB/large" "$LAB/out"
  rm -rf "$LAB/out" "$LAB/large" "$LAB"/*-store
}

if ! have_stampede >/dev/null; then say "nothing is built"; else prepare; fi
run_case "free space is left out" 60 left_out
run_case "all blocks, byte for byte" 60 all_blocks
run_case "free space of a deployed disk stays what it was" 60 deployed
run_case "a disk is imported, unless it is in use" 60 from_a_disk
run_case "an import that is killed is gone on with" 120 killed
end_cases

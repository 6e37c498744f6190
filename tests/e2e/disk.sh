#!/usr/bin/env bash
# The disk itself: one that fails in the middle, one that is written without io_uring, and what becomes of its free space.
# timeout: 300
. "$(dirname "$0")/../lab/lib.sh"
lab_begin
store=$LAB/store

prepare() {
  image=$("$LAB_HERE/make-image" --variant tiny)/disk.img
  size=$(stat -c %s "$image")
  import_image "$image" tiny:1 "$store"
  make_network 1 200mbit
  start_depot "$store"
}

# deploy_onto SELECTOR [deploy option…]: ends with $STATUS.
deploy_onto() {
  [ -d "$LAB/node.state" ] || new_token "$store" "$LAB/token"
  STATUS=0
  start_deploy 1 node tiny:1 "$LAB/token" "$@"
  wait "$STARTED" || STATUS=$?
}
no_table() { ! sfdisk --dump "$1" >/dev/null 2>&1 || no "an unfinished disk has a partition table"; }
# said STATUS TEXT…: that the last deployment ended so, and said all of these.
said() {
  local text
  [ "$STATUS" -eq "$1" ] || no "ended with status $STATUS instead of $1: $(tail -n 1 "$LAB/node.log")"
  for text in "${@:2}"; do grep -q "$text" "$LAB/node.log" || no "does not say '$text': $(tail -n 1 "$LAB/node.log")"; done
}

have_nbdkit() { have_command nbdkit nbdfuse; }

# A disk in memory behind FUSE and a loop device; while $LAB/TRIGGER-read or -write is there, all its reads or writes fail.
failing_disk() {
  need stampede namespaces loop nbdkit
  mkdir -p "$LAB/fuse"
  start nbdfuse nbdfuse "$LAB/fuse" --command nbdkit -s --filter=error memory "$size" \
    error-pread=EIO error-pread-rate=100% error-pread-file="$LAB/fail-read" \
    error-pwrite=EIO error-pwrite-rate=100% error-pwrite-file="$LAB/fail-write"
  later umount -l "$LAB/fuse"
  wait_for 10 "the disk in memory" test -s "$LAB/fuse/nbd"
  disk=$(losetup --find --show "$LAB/fuse/nbd")
  later losetup -d "$disk"
}

writes_fail() {
  local trigger
  failing_disk
  rm -f "$LAB/node.out"
  (
    wait_for 60 "the deployment to be in the middle" verified_at_least node $((size / 100))
    touch "$LAB/fail-write"
  ) &
  trigger=$!
  deploy_onto "dev:$disk"
  wait "$trigger"
  said 50 "cannot write $disk at byte\|cannot flush $disk"
  rm "$LAB/fail-write"
  no_table "$disk"
  deploy_onto "dev:$disk"
  said 0
  same_bytes "$disk" "$image"
  remark "kept of the first run: $(jq .bytes.local "$LAB/node.receipt") bytes"
}

reads_fail() {
  failing_disk
  touch "$LAB/fail-read"
  deploy_onto "dev:$disk"
  said 51 "cannot read $disk at byte"
  rm "$LAB/fail-read"
  cmp -n "$size" "$LAB/fuse/nbd" /dev/zero || no "written, though it could not be read"
}

have_small_file_system() {
  mkdir -p "$LAB/small"
  mount -t tmpfs -o size=4M stampede-test "$LAB/small" 2>/dev/null || { echo "cannot mount a tmpfs here"; return 1; }
}
full_file_system() {
  need stampede namespaces small_file_system
  later umount "$LAB/small"
  deploy_onto "file:$LAB/small/disk.img"
  said 53 "cannot write $LAB/small/disk.img at byte"
  no_table "$LAB/small/disk.img"
}

without_io_uring() {
  need stampede namespaces loop
  blank_disk "$LAB/calls.img" "$size"
  STAMPEDE_DISK_IO=calls deploy_onto "dev:$(attach_disk "$LAB/calls.img")"
  said 0
  same_bytes "$LAB/calls.img" "$image"
  STAMPEDE_DISK_IO=magic deploy_onto "file:$LAB/other.img"
  said 2 STAMPEDE_DISK_IO
}

# free_space leave|discard|zero: of a disk that is larger than the image, and full there.
free_space() {
  need stampede namespaces loop
  local file=$LAB/free.img disk
  head -c 8M /dev/urandom >"$LAB/before"
  blank_disk "$file" "$size"
  cat "$LAB/before" >>"$file"
  disk=$(attach_disk "$file")
  deploy_onto "dev:$disk" --overwrite "$disk" --unspecified "$1" --verify full
  said 0
  jq -e --arg done "$1" '.unspecified == $done and .read_back == "full"' "$LAB/node.receipt" || no "the receipt says $(jq -c '[.unspecified, .read_back]' "$LAB/node.receipt")"
  # Up to where a backup partition table may be, at the disk's end.
  case $1 in
    leave) cmp -i "$size:0" -n 7M "$file" "$LAB/before" || no "what lies beyond the image was changed" ;;
    zero | discard) cmp -i "$size:0" -n 7M "$file" /dev/zero || no "what lies beyond the image was left" ;;
  esac
}

# A hundred times as large as what it may take: 25 GiB, with a block of data in every MiB.
memory_is_bounded() {
  need stampede namespaces
  local blocks=25600 stride=$((1 << 20)) most
  perl -e '($path, $blocks, $stride) = @ARGV;
    open($from, "<", "/dev/urandom") and open($to, "+>", $path) and truncate($to, $blocks * $stride) or die;
    for (0 .. $blocks - 1) { read($from, $block, 4096); sysseek($to, $_ * $stride, 0); syswrite($to, $block) == 4096 or die }' \
    "$LAB/large" $blocks $stride
  import_image "$LAB/large" large:1 "$store"
  printf '#!/bin/sh\nexec time -f %%M -o %q %q "$@"\n' "$LAB/memory" "$STAMPEDE" >"$LAB/measured"
  chmod +x "$LAB/measured"
  new_token "$store" "$LAB/token-l"
  STAMPEDE=$LAB/measured start_deploy 1 large large:1 "$LAB/token-l" "file:$LAB/large.disk"
  await "$STARTED" large || no "$(tail -n 1 "$LAB/large.log")"
  cmp -n 256M "$LAB/large.disk" "$LAB/large" && cmp -i 20G -n 256M "$LAB/large.disk" "$LAB/large" || no "not the image"
  most=$(tail -n 1 "$LAB/memory")
  remark "$((most >> 10)) MiB for an image of $(((blocks * stride) >> 20)) MiB"
  [ "$most" -lt $((256 << 10)) ] || no "took $((most >> 10)) MiB"
}

if ! have_stampede >/dev/null; then say "nothing is built"; else prepare; fi
run_case "writes that fail" 90 writes_fail
run_case "reads that fail" 60 reads_fail
run_case "a file system that is full" 60 full_file_system
run_case "without io_uring" 60 without_io_uring
run_case "free space is left" 60 free_space leave
run_case "free space is discarded" 60 free_space discard
run_case "free space is zeroed" 60 free_space zero
run_case "memory is bounded" 120 memory_is_bounded
end_cases

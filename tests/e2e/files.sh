#!/usr/bin/env bash
# Targets that are files, for hypervisor hosts: qcow2, written by us and judged by QEMU; raw ones that share with a base.
# timeout: 300
. "$(dirname "$0")/../lab/lib.sh"
. "$LAB_HERE/proof.sh"
. "$LAB_HERE/one_node.sh"
lab_begin
store=$LAB/store

# new_folder: an empty one, in $in.
new_folder() { in=$(mktemp -d "$LAB/in.XXXXXX"); }
holds_only() { [ "$(ls -A "$in" | paste -sd' ')" = "$*" ] || no "$in holds $(ls -A "$in" | paste -sd' ')"; }
# Nobody has a file of the folder open, named or not.
no_server() { ! find /proc/[0-9]*/fd -lname "$in/*" 2>/dev/null | grep .; }

# sound_qcow2 FILE: QEMU finds no fault in it and no more in it than in the image.
sound_qcow2() {
  qemu-img check "$1" || no "qemu-img check is not content with $1"
  [ "$(qemu-img info --output=json "$1" | jq -r '.format, ."backing-filename"' | paste -sd' ')" = "qcow2 null" ] || no "not a qcow2 file of its own"
}

qcow2_is_the_image() {
  need stampede
  local data
  new_folder
  deploy tiny:1 "file:$in/disk.qcow2"
  holds_only disk.qcow2
  sound_qcow2 "$in/disk.qcow2"
  qemu-img compare -s -f qcow2 -F raw "$in/disk.qcow2" "$image" || qemu-img compare -f qcow2 -F raw "$in/disk.qcow2" "$image" || no "not the image"
  data=$(jq .bytes.total "$LAB/receipt")
  remark "$(stat -c %s "$in/disk.qcow2") bytes for $data of data"
  [ "$(stat -c %s "$in/disk.qcow2")" -lt $((data * 105 / 100 + 1048576)) ] || no "not sparse: $(stat -c %s "$in/disk.qcow2") bytes for $data"
  in_receipt '.verdict == "success" and .read_back == "data" and .bytes.durable == .bytes.total and .bytes.read == 0'
}

qcow2_is_customised() {
  need stampede
  local at was
  new_folder
  was=$(sgdisk -p "$image" | sed -n 's/^Disk identifier (GUID): //p')
  deploy tiny:1 "file:$in/disk.qcow2" --file-size 512Mi --grow --fresh-uuids --hostname vm-1 --role web --verify full
  sound_qcow2 "$in/disk.qcow2"
  qemu-img convert -O raw "$in/disk.qcow2" "$in/raw"
  [ "$(stat -c %s "$in/raw")" = $((512 << 20)) ] || no "$(stat -c %s "$in/raw") bytes"
  sound_root "$in/raw" || no "e2fsck is not content"
  read_in_root "$in/raw" /var/lib/cloud/seed/nocloud/meta-data | grep -q vm-1 || no "wrong hostname"
  [ "$(read_in_root "$in/raw" /etc/stampede/roles)" = web ] || no "wrong role"
  read -ra at < <(partition_of "$in/raw" "$ROOT_TYPE")
  [ $((at[1] + at[2])) -gt $((511 << 20)) ] || no "the partition ends at $((at[1] + at[2]))"
  [ "$(sgdisk -p "$in/raw" | sed -n 's/^Disk identifier (GUID): //p')" != "$was" ] || no "the disk keeps its GUID"
  in_receipt '.fit.grown_file_system == "ext4" and .fit.fresh_uuids and .disk.size == 536870912'
}

an_older_file() {
  need stampede
  new_folder
  echo old >"$in/disk.qcow2"
  expect_status 19 deploy tiny:1 "file:$in/disk.qcow2"
  expect_said "say --overwrite $in/disk.qcow2"
  grep -qx old "$in/disk.qcow2" || no "written"
  deploy tiny:1 "file:$in/disk.qcow2" --dry-run --overwrite "$in/disk.qcow2"
  grep -qx old "$in/disk.qcow2" || no "written by a dry run"
  deploy tiny:1 "file:$in/disk.qcow2" --overwrite "$in/disk.qcow2"
  holds_only disk.qcow2
  qemu-img compare "$in/disk.qcow2" "$image" || no "not the image"
  # Whose disk a running machine's is is not replaced.
  start running qemu-nbd --persistent --socket "$LAB/running.sock" -f qcow2 "$in/disk.qcow2"
  wait_for 10 "qemu-nbd" test -S "$LAB/running.sock"
  expect_status 13 deploy tiny:1 "file:$in/disk.qcow2" --overwrite "$in/disk.qcow2"
}

in_the_middle() { verified_at_least killed 10000000; }
killed() {
  need stampede namespaces
  new_folder
  local i
  for i in 1 2 3; do
    new_token "$store" "$LAB/token-k"
    start_deploy 1 killed tiny:1 "$LAB/token-k" "file:$in/disk.qcow2"
    case $i in
      1) wait_for 20 "the middle of the deployment" in_the_middle ;;
      2) sleep 0.3 ;;
      3) sleep 0.8 ;;
    esac
    kill -KILL "$STARTED"
    wait "$STARTED" || true
    [ ! -e "$in/disk.qcow2" ] || { sound_qcow2 "$in/disk.qcow2" && qemu-img compare "$in/disk.qcow2" "$image"; } || no "half a file is left"
    rm -f "$in/disk.qcow2"
    holds_only
    wait_for 5 "qemu-nbd to end" no_server
  done
  new_token "$store" "$LAB/token-k"
  start_deploy 1 killed tiny:1 "$LAB/token-k" "file:$in/disk.qcow2"
  await "$STARTED" killed || no "$(tail -n 1 "$LAB/killed.log")"
  qemu-img compare "$in/disk.qcow2" "$image" || no "not the image"
}

have_small_file_system() {
  mkdir -p "$LAB/small"
  mount -t tmpfs -o size=8M stampede-test "$LAB/small" 2>/dev/null || { echo "cannot mount a tmpfs here"; return 1; }
}
full_file_system() {
  need stampede small_file_system
  later umount "$LAB/small"
  expect_status 53 deploy tiny:1 "file:$LAB/small/disk.qcow2"
  expect_said "cannot write $LAB/small/disk.qcow2 at byte"
  in=$LAB/small
  holds_only
  wait_for 5 "qemu-nbd to end" no_server
}

refused() {
  need stampede
  new_folder
  expect_status 17 deploy tiny:1 "file:$in/disk.qcow2" --file-size 1Mi
  expect_status 2 deploy tiny:1 "file:$in/disk.qcow2" --file-size much
  expect_status 2 deploy tiny:1 "dev:/dev/none" --file-size 1G
  expect_status 2 deploy tiny:1 "file:$in/none/disk.qcow2"
  holds_only
}

# file_system KIND: a new one of 600 MiB that knows reflinks, mounted at $in.
file_system() {
  local dev
  new_folder
  truncate -s 600M "$in.fs"
  "mkfs.$1" -q "$in.fs"
  dev=$(losetup --find --show --direct-io=on "$in.fs")
  later losetup -d "$dev"
  mount "$dev" "$in"
  # What a killed process had in its io_uring is let go of a moment after it.
  later wait_for 20 "$in to be free" umount "$in"
}
# What is taken of it once all is on the disk and nothing is preallocated any more, in KiB.
taken() {
  local dev
  dev=$(findmnt -no SOURCE "$in")
  umount "$in"
  mount "$dev" "$in"
  df --output=used -k "$in" | tail -n 1
}

# last_months: the image, and a machine's disk from it, less 12 MiB of its data and with as much of others.
last_months() {
  local at
  cp --sparse=always "$image" "$1"
  read -ra at < <(partition_of "$1" "$ROOT_TYPE")
  head -c 12M /dev/urandom | dd of="$1" bs=1M seek=$((at[1] / 1048576 + 20)) conv=notrunc iflag=fullblock status=none
}

have_xfs() { have_command mkfs.xfs && grep -qw xfs /proc/filesystems || { echo "no XFS here"; return 1; }; }
have_btrfs() { have_command mkfs.btrfs && grep -qw btrfs /proc/filesystems || { echo "no btrfs here"; return 1; }; }

# shares KIND: with last month's image only what differs takes room, and that image stays as it was.
shares() {
  need stampede loop "$1"
  local before after sum
  file_system "$1"
  last_months "$in/base.img"
  sum=$(sha256sum <"$in/base.img")
  before=$(taken)
  deploy tiny:1 "file:$in/disk.img" --base "$in/base.img"
  after=$(taken)
  same_bytes "$in/disk.img" "$image"
  [ "$(sha256sum <"$in/base.img")" = "$sum" ] || no "the base was changed"
  holds_only base.img disk.img
  remark "$((after - before)) KiB more for $(($(jq .bytes.total "$LAB/receipt") >> 10)) KiB of data"
  [ $((after - before)) -lt $((14 << 10)) ] || no "$((after - before)) KiB more where 12 MiB differ"
  in_receipt ".base == {path: \"$in/base.img\", shared: true} and .bytes.local > 40000000 and .bytes.depot < 20000000"
  # A machine of its own, larger, from the same image: what first boot and growing change.
  deploy tiny:1 "file:$in/vm.img" --base "$in/disk.img" --file-size 300Mi --grow --hostname vm-2
  before=$after
  after=$(taken)
  sound_root "$in/vm.img" || no "e2fsck is not content"
  read_in_root "$in/vm.img" /var/lib/cloud/seed/nocloud/meta-data | grep -q vm-2 || no "wrong hostname"
  same_bytes "$in/disk.img" "$image"
  remark "$((after - before)) KiB more for the same image, customised and grown"
  [ $((after - before)) -lt $((8 << 10)) ] || no "$((after - before)) KiB more for the same image"
}

killed_with_base() {
  need stampede loop namespaces xfs
  file_system xfs
  head -c 100M /dev/urandom >"$in/base.img"
  new_token "$store" "$LAB/token-b"
  start_deploy 1 killed tiny:1 "$LAB/token-b" "file:$in/disk.img" --base "$in/base.img"
  wait_for 20 "the transfer" grep -q '"transfer"' "$LAB/killed.out"
  kill -KILL "$STARTED"
  wait "$STARTED" || true
  holds_only base.img
}

without_reflinks() {
  need stampede small_file_system
  new_folder
  later umount "$LAB/small"
  head -c 100000 /dev/urandom >"$LAB/small/base.img"
  expect_status 0 deploy tiny:1 "file:$in/disk.img" --base "$LAB/small/base.img"
  expect_said "can share nothing with $LAB/small/base.img"
  same_bytes "$in/disk.img" "$image"
  in_receipt ".base == {path: \"$LAB/small/base.img\", shared: false}"
  expect_status 60 deploy tiny:1 "file:$in/other.img" --base "$LAB/small/none"
  expect_status 2 deploy tiny:1 "file:$in/other.img" --base "$LAB/small"
  expect_status 2 deploy tiny:1 "file:$in/other.qcow2" --base "$LAB/small/base.img"
  expect_status 2 deploy tiny:1 dev:/dev/none --base "$LAB/small/base.img"
  expect_status 2 deploy tiny:1 "file:$in/other.img" --base "$LAB/small/base.img" --delta never
  # What is there is not replaced unless it is named, and then by a whole one.
  echo other >"$in/other.img"
  expect_status 19 deploy tiny:1 "file:$in/other.img" --base "$in/disk.img"
  expect_status 0 deploy tiny:1 "file:$in/other.img" --base "$in/disk.img" --overwrite "$in/other.img"
  same_bytes "$in/other.img" "$image"
  holds_only disk.img other.img
}

if ! have_stampede >/dev/null; then say "nothing is built"; else prepare_one_node 300mbit; fi
run_case "a qcow2 file is the image" 60 qcow2_is_the_image
run_case "a qcow2 file is customised, grown and gets new ids" 60 qcow2_is_customised
run_case "an older file goes when it is named and not in use" 60 an_older_file
run_case "a killed deployment leaves no file and no process" 60 killed
run_case "a qcow2 file on a file system that is full" 60 full_file_system
run_case "qcow2 files that are refused" 60 refused
run_case "a base on XFS is shared" 60 shares xfs
run_case "a base on btrfs is shared" 60 shares btrfs
run_case "a killed deployment with a base leaves no file" 60 killed_with_base
run_case "a base that cannot be shared" 60 without_reflinks
end_cases

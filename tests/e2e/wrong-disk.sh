#!/usr/bin/env bash
# The wrong-disk matrix: disks that must not be written, named in every way there is. Each is refused with its code, and the
# SHA-256 of every disk that is not the target stays what it was. What this kernel has not (device-mapper, md, USB) stands in
# tests/disk, on a made-up sysfs.
# timeout: 600
. "$(dirname "$0")/../lab/lib.sh"
lab_begin
store=$LAB/store
: >"$LAB/layouts"
: >"$LAB/tries"

prepare() {
  gpt_disk "$LAB/gpt.img" 8M
  import_image "$LAB/gpt.img" gpt:1 "$store" >/dev/null
  start depot "$STAMPEDE" serve --store "$store" --listen 127.0.0.1:7466 --multicast off
  wait_for 20 "the depot" listens
  new_token "$store" "$LAB/token" --uses 1000
  # Bystanders: disks like the targets, of every size that is used.
  for i in 1 2 3; do noise "$LAB/by-$i.img" 8M; done
  blank_disk "$LAB/by-blank.img" 16M
  for i in 1 2 3 blank; do attach_disk "$LAB/by-$i.img" >/dev/null; done
}
listens() { is_running "$STARTED" && ss -Hltn 'sport = :7466' | grep -q .; }

# deploy SELECTOR [option…]: by a node for each layout, since a depot takes 60 receipts an hour of one.
node=0
deploy() {
  local selector=$1
  shift
  "$STAMPEDE" deploy gpt:1 --depot 127.0.0.1:7466 --state "$LAB/state-$node" --token-file "$LAB/token" --disk "$selector" --progress none --patience 5s \
    --peer-listen 127.0.0.1:0 --transfer depot "$@"
}

# noise FILE SIZE: random at both ends.
noise() {
  truncate -s 0 "$1"  # the file stays the same to whoever has it attached
  truncate -s "$2" "$1"
  head -c 100000 /dev/urandom | dd of="$1" conv=notrunc status=none
  head -c 100000 /dev/urandom | dd of="$1" conv=notrunc status=none oflag=seek_bytes seek=$(($(stat -c %s "$1") - 100000))
}
gpt_disk() {
  noise "$1" "$2"
  printf 'label: gpt\nstart=1M, size=2M\nstart=4M, size=1M\n' | sfdisk -q --wipe always "$1"
}
# put FILE OFFSET: what perl prints goes there.
put() { perl -e "$3" | dd of="$1" conv=notrunc status=none oflag=seek_bytes seek="$2"; }

# sums [FILE]: of every disk but that.
sums() { find "$LAB" -maxdepth 1 -name '*.img' ! -samefile "${1:-/}" -exec sha256sum {} + | sort -k 2; }

# layout [SIZE] [losetup option…]: a disk of noise; sets $file and $disk.
layout() {
  file=$(mktemp "$LAB/disk.XXXXXX.img")
  later rm -f "$file"
  noise "$file" "${1:-8M}"
  disk=$(attach_disk "$file" "${@:2}")
}
# refused CODE PATTERN SELECTOR [option…]: so, and no byte of any disk changed.
refused() {
  local code=$1 pattern=$2 before
  shift 2
  [ ! -b "${disk:-}" ] || sync "$disk" 2>/dev/null || true  # what made the layout may still be on its way
  before=$(sums)
  expect_status "$code" deploy "$@"
  expect_said "$pattern"
  [ "$(sums)" = "$before" ] || no "a disk was written: $*"
  echo "$*" >>"$LAB/tries"
}
# every CODE PATTERN [option…]: by its device, and by another way to name $disk in every layout.
every() {
  local code=$1 pattern=$2
  local ways=("model:$file" "model:*/${file##*/},size<1T,not removable" "dev:$disk,model:*,size>=1Mi")
  shift 2
  refused "$code" "$pattern" "dev:$disk" "$@"
  refused "$code" "$pattern" "${ways[node % 3]}" "$@"
}
# foreign PATTERN: refused unless it is named, and also where another is named.
foreign() {
  every 19 "$1"
  refused 19 "names another disk" "dev:$disk" --overwrite /dev/loop9999
}
# wrong NAME FUNCTION: one layout.
wrong() {
  [[ -z ${ONLY:-} || $1 == $ONLY ]] || return 0
  node=$((node + 1))
  echo "$1" >>"$LAB/layouts"
  run_case "$1" 60 "$2"
}

# --- which disk is meant
ambiguous() {
  need stampede loop
  layout
  refused 11 'matches 4 disks.*dev:/dev/loop' "model:$LAB/by-*"
  refused 11 'matches 3 disks' "model:$LAB/by-*,not size=16Mi"
  refused 11 'dev:/dev/loop' "model:$LAB/*,not removable,size<1T" --overwrite "$disk"
}
empty_serials() {
  need stampede loop
  layout
  refused 2 "'serial:' does not name a disk" serial: --overwrite "$disk"
  refused 2 'does not name a disk' "model:$file,wwn:" --overwrite "$disk"
  refused 2 'does not name a disk' "serial:,model:$file" --overwrite "$disk"
}
no_such_disk() {
  need stampede loop
  layout
  refused 10 'there is ' serial:NOSUCH --overwrite "$disk"
  refused 10 'no disk matches' "model:$file,size>1T" --overwrite "$disk"
  refused 10 'no disk matches' "model:$file,removable" --overwrite "$disk"
  refused 10 'no disk matches' "dev:$disk,not dev:$disk" --overwrite "$disk"
  refused 10 'no disk matches' eui:0025385 --overwrite "$disk"
  refused 10 'no disk matches' by-path:nosuch --overwrite "$disk"
  refused 2 'does not name a disk' "$disk" --overwrite "$disk"
  refused 2 'does not name a disk' "dev:$disk," --overwrite "$disk"
}
gone() {
  need stampede loop
  layout
  losetup -d "$disk"
  # Its number may be another's by now: the file says that it is this one.
  refused 10 '' "dev:$disk,model:$file" --overwrite "$disk"
  refused 10 '' "model:$file" --overwrite "$disk"
}
# A link that names another disk than it did.
renamed() {
  need stampede loop
  local first
  layout
  first=$disk
  layout
  later rm -f "/dev/stampede-$$"
  ln -s "$first" "/dev/stampede-$$"
  ln -sfn "$disk" "/dev/stampede-$$"
  refused 19 "--overwrite names another disk \('$first'\)" "dev:/dev/stampede-$$" --overwrite "$first"
}
a_partition() {
  need stampede loop
  partitioned
  refused 10 "name the whole disk, dev:$disk" "dev:${disk}p1" --overwrite "${disk}p1"
}

# --- in use
mounted() {
  need stampede loop
  layout
  mke2fs -qF "$disk"
  mkdir "$LAB/m" && mount -o ro "$disk" "$LAB/m"
  later umount "$LAB/m"
  every 14 "$LAB/m" --overwrite "$disk"
}
partitioned() {
  file=$(mktemp "$LAB/disk.XXXXXX.img")
  later rm -f "$file"
  gpt_disk "$file" 8M
  disk=$(attach_disk "$file")
  partx -a "$disk" || skip "no partitions on loop devices here"
  later partx -d "$disk"
  [ -b "${disk}p1" ] || skip "no device nodes for partitions here"
}
mounted_partition() {
  need stampede loop
  partitioned
  mke2fs -qF "${disk}p1"
  mkdir "$LAB/mp" && mount -o ro "${disk}p1" "$LAB/mp"
  later umount "$LAB/mp"
  every 14 "$LAB/mp" --overwrite "$disk"
}
swap_space() {
  need stampede loop
  layout
  mkswap -q "$disk"
  swapon "$disk" 2>/dev/null || skip "no swap here"
  later swapoff "$disk"
  every 15 "$disk" --overwrite "$disk"
}
held() {
  need stampede loop
  layout
  start holder perl -MFcntl -e 'sysopen(my $f, $ARGV[0], O_RDWR | O_EXCL) or die; $| = 1; print "held\n"; sleep 60' "$disk"
  wait_for 5 "the holder" grep -q held "$LAB/holder.out"
  every 13 'held by another program' --overwrite "$disk"
}
# lock_byte FILE BYTE: as QEMU locks its disks: F_OFD_SETLK, shared, single bytes.
lock_byte() {
  start machine perl -MFcntl -e 'sysopen(my $f, $ARGV[0], O_RDWR) or die; my $l = pack("ssx4qqlx4", F_RDLCK, 0, $ARGV[1], 1, 0);
    fcntl($f, 37, $l) or die "$!"; $| = 1; print "held\n"; sleep 60' "$1" "$2"
  wait_for 5 "the lock" grep -q held "$LAB/machine.out"
}
virtual_machine() {
  need stampede loop
  layout
  lock_byte "$disk" 201
  every 13 'locked by another program' --overwrite "$disk"
}
a_btrfs_of_two() {
  need stampede loop
  have_command mkfs.btrfs
  local first
  layout 128M
  first=$disk
  layout 128M
  mkfs.btrfs -q -f -d single -m single "$first" "$disk"
  mkdir "$LAB/b" && mount -o ro "$first" "$LAB/b" || skip "no btrfs here"
  later umount "$LAB/b"
  every 13 'in use by btrfs' --overwrite "$disk"
  refused 14 "$LAB/b" "dev:$first" --overwrite "$first"
}
attached_twice() {
  need stampede loop
  layout
  attach_disk "$file" >/dev/null
  refused 13 'attached as .* too' "dev:$disk" --overwrite "$disk"
  refused 13 'is attached as' "file:$file" --overwrite "$file"
  refused 11 'matches 2' "model:$file" --overwrite "$disk"
}
attached_upon() {
  need stampede loop
  layout
  attach_disk "$disk" >/dev/null
  refused 13 'is attached upon' "dev:$disk" --overwrite "$disk"
}
# A plan only: the guard refuses it the same way, and if it ever did not, this machine would be erased.
own_disk() {
  need stampede
  local root parent
  root=$(findmnt -no SOURCE / | sed 's/\[.*//')
  [ -b "$root" ] || skip "the root file system is on no disk"
  parent=$(lsblk -dno PKNAME "$root")
  [ -z "$parent" ] || root=/dev/$parent
  refused '14|20' "$root" "dev:$root" --overwrite "$root" --dry-run
}
locked_file() {
  need stampede
  file=$LAB/vm.img
  later rm -f "$file"
  noise "$file" 8M
  lock_byte "$file" 100
  refused 13 'locked by another program' "file:$file" --overwrite "$file"
}

# --- not fit
read_only() { need stampede loop; layout 8M --read-only; every 16 'read-only' --overwrite "$disk"; }
shrunk() {
  need stampede loop
  layout
  truncate -s 4M "$file"
  losetup -c "$disk"
  every 17 'has 4194304 bytes' --overwrite "$disk"
}
four_k() { need stampede loop; layout 8M --sector-size 4096; every 18 '4096' --overwrite "$disk"; }

# --- somebody's
gpt_table() { need stampede loop; layout; printf 'label: gpt\nstart=1M\n' | sfdisk -q --wipe always "$file"; foreign 'gpt partition table, 1 partition'; }
backup_gpt() {
  need stampede loop
  layout
  printf 'label: gpt\nstart=1M\n' | sfdisk -q --wipe always "$file"
  dd if=/dev/zero of="$file" bs=1M count=1 conv=notrunc status=none
  foreign 'gpt partition table'
}
mbr_table() { need stampede loop; layout; printf 'label: dos\nstart=1M\n' | sfdisk -q --wipe always "$file"; foreign 'dos partition table'; }
ext4() { need stampede loop; layout; mke2fs -qF -L data "$disk"; foreign "ext[24] file system 'data'"; }
lvm() {
  need stampede loop
  have_command pvcreate
  layout
  pvcreate -qq -ff -y --config 'devices{use_devicesfile=0}' "$disk" || no "pvcreate"
  foreign LVM2_member
}
md_1_0() {
  need stampede loop
  layout
  put "$file" $((8 * 1048576 - 8192)) 'print pack("L<L<x8a16x112Q<x96", 0xa92b4efc, 1, "Z" x 16, (8 * 1048576 - 8192) / 512)'
  foreign linux_raid_member
}
md_0_90() {
  need stampede loop
  layout
  put "$file" $((8 * 1048576 - 65536)) 'print pack("L<L<L<x8L<x4072", 0xa92b4efc, 0, 90, 0x5a5a5a5a)'
  foreign linux_raid_member
}
luks() { need stampede loop; layout; put "$file" 0 'print "LUKS\xba\xbe\0\1" . "\0" x 160 . "3f0e5b5e-8a57-4d4e-9f29-0d0f2f5b2a11"'; foreign 'crypto_LUKS'; }
zfs() {
  need stampede loop
  layout 66M
  put "$file" 131072 'print pack("Q<Q<x1008", 0x00bab10c, 5000) x 8'
  put "$file" $((66 * 1048576 - 262144 + 131072)) 'print pack("Q<Q<x1008", 0x00bab10c, 5000) x 8'
  foreign 'ZFS pool'
}
btrfs() { need stampede loop; have_command mkfs.btrfs; layout 128M; mkfs.btrfs -q -f "$disk"; foreign 'btrfs file system'; }
noise_at_the_end() {
  need stampede loop
  layout
  dd if=/dev/zero of="$file" bs=1M count=7 conv=notrunc status=none
  foreign 'unknown data'
}
# The mark of an interrupted deployment (src/disk/in_progress.h), copied from a disk of 9 MiB.
anothers_mark() {
  need stampede loop
  layout
  mark $((9 * 1048576))
  foreign 'unknown data'
}
mark() { put "$file" 0 'use Digest::SHA "sha256"; $m = pack("a8S<x6a32a16Q<Q<", "STMPMARK", 1, "i" x 32, "d" x 16, 1700000000, '"$1"'); print $m . sha256($m) . "\0" x 400'; }
the_template() {
  # It bears the GUID that receipts name, and was never deployed to.
  need stampede loop
  refused 19 'gpt partition table' "file:$LAB/gpt.img"
}

# --- and the right one
# written SELECTOR [option…]: $file alone is written, and is the image.
written() {
  local before
  before=$(sums "$file")
  expect_status 0 deploy "$@"
  [ "$(sums "$file")" = "$before" ] || no "another disk was written: $*"
  sync "$file"
  same_bytes "$file" "$LAB/gpt.img"
  echo "$*" >>"$LAB/tries"
}
right_one() {
  need stampede loop
  layout
  written "model:$file,size=8Mi,not removable" --overwrite "$disk"
  noise "$file" 8M
  written "dev:$disk" --overwrite "dev:$disk"
  # An interrupted deployment is ours.
  noise "$file" 8M
  mark $((8 * 1048576))
  written "dev:$disk"
}
plans() {
  need stampede loop
  local before receipts
  layout
  before=$(sums)
  receipts=$("$STAMPEDE" receipt list --store "$store" --json | jq length)
  expect_status 19 deploy "dev:$disk" --dry-run
  expect_status 0 deploy "dev:$disk" --dry-run --overwrite "$disk" --json
  jq -e --arg disk "$disk" '.disk.path == $disk and .content == "unknown data" and .bytes.data == .bytes.fetched
    and .bytes.data + .bytes.zeroed + .bytes.unspecified == 8388608' "$LAB/said"
  expect_status 0 deploy "file:$LAB/none.img" --dry-run
  expect_said 'a file that is made'
  [ ! -e "$LAB/none.img" ] || no "a file was made"
  [ "$(sums)" = "$before" ] || no "a disk was written"
  [ "$("$STAMPEDE" receipt list --store "$store" --json | jq length)" -eq "$receipts" ] || no "a receipt was sent"
}
again() {
  need stampede loop
  local first
  layout
  written "dev:$disk" --overwrite "$disk"
  # What this site deployed there is known by its receipt.
  written "dev:$disk"
  expect_said 'gpt:1 \(deployment [0-9a-f]+\), which this site deployed'
  # Not so to another node: without serial and WWN it is known by its path, which says nothing on another machine.
  node=$((node + 1))
  foreign 'gpt partition table'
  node=$((node - 1))
  first=$file
  layout
  # Not so a copy of it.
  cp "$first" "$file"
  foreign 'gpt partition table'
}

# --- the rescue file
restored() {
  need stampede loop
  local before number
  layout 70M
  printf 'label: gpt\nstart=1M, size=2M\nstart=4M\n' | sfdisk -q --wipe always "$file"
  put "$file" $((70 * 1048576 - 262144 + 131072)) 'print pack("Q<Q<x1008", 0x00bab10c, 5000) x 8'
  before=$({ head -c 1M "$file"; tail -c 1M "$file"; } | sha256sum)
  deploy "dev:$disk" --overwrite "$disk" --rescue-dir "$LAB/rescue"
  [ "$({ head -c 1M "$file"; tail -c 1M "$file"; } | sha256sum)" != "$before" ] || no "nothing was deployed"
  wipefs -n "$disk" | grep -q zfs && no "the ZFS label is left"
  number=$("$STAMPEDE" receipt list --store "$store" --json | jq -r '.[-1].number')
  "$STAMPEDE" receipt show "$number" --store "$store" --json | jq -e '.wiped[0] | test("zfs_member")'
  "$STAMPEDE" receipt rescue "$number" "$LAB/from-depot" --store "$store"
  same_bytes "$LAB/from-depot" "$(echo "$LAB"/rescue/*.rescue)"
  restore() { "$STAMPEDE" disk restore-table "$LAB/from-depot" --state "$LAB/state-$node" --disk "$@"; }
  # Not onto another disk, not over what nobody gave up, and not what is damaged.
  local target=$disk target_file=$file sums
  layout 70M
  sums=$(sums)
  expect_status 12 restore "dev:$disk" --overwrite "$disk"
  expect_said 'another disk'
  expect_status 19 restore "dev:$target"
  printf x | dd of="$LAB/from-depot" bs=1 seek=5000 conv=notrunc status=none
  expect_status 2 restore "dev:$target" --overwrite "$target"
  expect_said 'checksum'
  [ "$(sums)" = "$sums" ] || no "a disk was written"
  cp "$LAB"/rescue/*.rescue "$LAB/from-depot"
  restore "dev:$target" --overwrite "$target"
  sync "$target_file"
  [ "$({ head -c 1M "$target_file"; tail -c 1M "$target_file"; } | sha256sum)" = "$before" ] || no "not as it was"
  sfdisk -V "$target_file" || no "the table does not hold"
}

if ! have_stampede >/dev/null; then say "nothing is built"; else prepare; fi
wrong "selectors that match several" ambiguous
wrong "empty serials" empty_serials
wrong "selectors that match none" no_such_disk
wrong "a disk that has gone" gone
wrong "a name that is another disk's now" renamed
wrong "a partition" a_partition
wrong "a mounted disk" mounted
wrong "a mounted partition" mounted_partition
wrong "swap space" swap_space
wrong "a disk that is held" held
wrong "a virtual machine's disk" virtual_machine
wrong "the second device of a mounted btrfs" a_btrfs_of_two
wrong "a file attached twice" attached_twice
wrong "a disk with a loop device upon it" attached_upon
wrong "the running system's disk" own_disk
wrong "a file that a virtual machine has locked" locked_file
wrong "a read-only disk" read_only
wrong "a disk that has shrunk" shrunk
wrong "sectors of 4096 bytes" four_k
wrong "a GPT" gpt_table
wrong "the backup of a GPT alone" backup_gpt
wrong "an MBR" mbr_table
wrong "ext4" ext4
wrong "an LVM physical volume" lvm
wrong "an md member, superblock 1.0" md_1_0
wrong "an md member, superblock 0.90" md_0_90
wrong "a LUKS volume" luks
wrong "a ZFS member" zfs
wrong "btrfs" btrfs
wrong "data at the end alone" noise_at_the_end
wrong "the mark of a deployment of another disk" anothers_mark
wrong "the template itself" the_template
run_case "the right disk alone is written" 60 right_one
run_case "a dry run writes nothing" 60 plans
run_case "what this site deployed is deployed to again" 60 again
run_case "a rescue file puts back what a disk held" 60 restored
say "$(wc -l <"$LAB/layouts") layouts, $(wc -l <"$LAB/tries") deployments; 0 bytes of other disks changed unless it says so above"
end_cases

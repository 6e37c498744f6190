# shellcheck shell=bash
# Disks of the lab: loop devices, partitions, mounted trees and how two trees differ. Part of lib.sh.

have_loop() {
  local file dev
  allowed loop && have_root && have_command losetup || return 1
  file=$(mktemp "${TMPDIR:-/var/tmp}/stampede-probe.XXXXXX")
  truncate -s 1M "$file"
  if ! dev=$(losetup --find --show --direct-io=on "$file" 2>/dev/null); then
    rm -f "$file"
    echo "loop devices with direct I/O cannot be had here"
    return 1
  fi
  losetup -d "$dev"
  rm -f "$file"
}

# attach_disk FILE [losetup option…]: prints the loop device; it is detached with the lab, and no other is.
attach_disk() {
  local file=$1 dev
  shift
  dev=$(losetup --find --show --direct-io=on "$@" "$file")
  later detach_disk "$dev" "$file"
  echo "$dev"
}

# Only while the device still belongs to that file, which may be out of reach: on a FUSE mount whose daemon is dead.
detach_disk() { [ "$(losetup -nO BACK-FILE "$1" 2>/dev/null)" != "$(readlink -m "$2")" ] || losetup -d "$1"; }

blank_disk() { rm -f "$1"; truncate -s "$2" "$1"; }

# partition_of DISK TYPE-GUID: "NUMBER OFFSET BYTES" of the first partition of that type, in bytes.
partition_of() {
  sfdisk --json "$1" | jq -er --arg type "${2^^}" '.partitiontable as $t | ($t.sectorsize // 512) as $s
    | [$t.partitions | to_entries[] | select(.value.type == $type)][0]
    | "\(.key + 1) \(.value.start * $s) \(.value.size * $s)"'
}
ROOT_TYPE=4f68bce3-e8cd-4db1-96e7-fbcaf984b709   # discoverable partitions: root, x86-64
ESP_TYPE=c12a7328-f81f-11d2-ba4b-00a0c93ec93b

# attach_root DISK: a read-only loop device over the root partition of a disk or image file.
attach_root() {
  local at
  read -ra at < <(partition_of "$1" "$ROOT_TYPE") || return 1
  local dev
  dev=$(losetup --find --show --read-only --offset "${at[1]}" --sizelimit "${at[2]}" "$1") || return 1
  later losetup -d "$dev"
  echo "$dev"
}

# mount_root DISK DIR: the root file system, read-only, its journal not replayed.
mount_root() {
  local dev
  dev=$(attach_root "$1") || return 1
  mkdir -p "$2"
  mount -t ext4 -o ro,noload "$dev" "$2" || return 1
  later umount "$2"
}

# list_tree DIR: one sorted line for each entry: path, kind, mode, owner, group, then size and SHA-256 of a file, the goal
# of a link, or the numbers of a device.
list_tree() {
  local work
  work=$(mktemp -d "$LAB/tree.XXXXXX")
  (
    cd "$1"
    find . -xdev -mindepth 1 \( -type f -printf '%P\t%y %m %U %G %s\n' -o -type l -printf '%P\t%y %m %U %G %l\n' \
      -o -printf '%P\t%y %m %U %G\n' \) | sort >"$work/entries"
    # A file for each group: parallel writers would break each other's lines.
    find . -xdev -type f -printf '%P\0' | xargs -0 -r -n 200 -P "$(nproc)" sh -c 'sha256sum -z -- "$@" >"$0/sums.$$"' "$work"
    find "$work" -name 'sums.*' -exec cat {} + | tr '\0' '\n' | sed 's/^\([0-9a-f]*\)  \(.*\)$/\2\t\1/' | sort >"$work/sums"
    join -t $'\t' -a 1 "$work/entries" "$work/sums"
  )
  rm -rf "$work"
}

# changed_paths LISTING-A LISTING-B: "changed PATH", "added PATH" or "removed PATH", sorted by path.
changed_paths() {
  awk -F '\t' 'NR == FNR { a[$1] = $0; next }
    !($1 in a) { print "added " $1; next }
    { if (a[$1] != $0) print "changed " $1; delete a[$1] }
    END { for (p in a) print "removed " p }' "$1" "$2" | sort -k2
}

# same_but_free DISK IMAGE: byte for byte, but for the free space of the image's root and ESP: what a disk held there may stay.
same_but_free() {
  local at
  free_in_esp "$2" >"$LAB/free.$BASHPID"
  read -ra at < <(partition_of "$2" "$ROOT_TYPE")
  "$LAB_HERE/same-but-free" "$1" "$2" "${at[1]}" "$LAB/free.$BASHPID"
}
# free_in_esp IMAGE: "BEGIN END" in bytes of the disk, by partclone, if it is there and knows the file system.
free_in_esp() {
  local at position size mark esp=$LAB/esp.$BASHPID
  read -ra at < <(partition_of "$1" "$ESP_TYPE") && have_command partclone.vfat >/dev/null || return 0
  dd if="$1" of="$esp" bs=1M iflag=skip_bytes,count_bytes skip="${at[1]}" count="${at[2]}" conv=sparse status=none
  partclone.vfat --domain --source "$esp" --output "$esp.map" --logfile /dev/null >/dev/null 2>&1 || { rm -f "$esp"*; return 0; }
  while read -r position size mark; do
    [ "$mark" != '?' ] || echo "$((at[1] + position)) $((at[1] + position + size))"
  done <"$esp.map"
  rm -f "$esp" "$esp.map"
}

# other_image OLD NEW: a bootable image that differs from the old one in everything that matters: disk id, data.
other_image() {
  local at
  cp --sparse=always "$1" "$2"
  sgdisk -G "$2" >/dev/null
  read -ra at < <(partition_of "$2" "$ROOT_TYPE")
  head -c 80M /dev/urandom >"$2.more"
  debugfs -w -R "write $2.more more" "$2?offset=${at[1]}" 2>/dev/null
  rm "$2.more"
}

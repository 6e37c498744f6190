#!/usr/bin/env bash
# After the image: the backup GPT comes to the disk's true end, the last partition and its file system grow, ids are renewed.
# timeout: 600
. "$(dirname "$0")/../lab/lib.sh"
. "$LAB_HERE/proof.sh"
. "$LAB_HERE/one_node.sh"
lab_begin
store=$LAB/store

# larger_disk BYTES [losetup option…]: a loop device that is larger than the image by that much; sets $disk and $file.
larger_disk() {
  file=$(mktemp "$LAB/disk.XXXXXX")
  truncate -s $((size + $1)) "$file"
  disk=$(attach_disk "$file" "${@:2}")
}

sound_gpt() {
  sgdisk -v "$1" >"$LAB/said" 2>&1
  grep -q 'No problems found' "$LAB/said" || no "sgdisk: $(cat "$LAB/said")"
}
no_table() {
  ! sfdisk --dump "$1" 2>&1 || no "$1 has a table"
  ! sgdisk -p "$1" 2>&1 | grep -q ' root$' || no "sgdisk finds partitions on $1"
}

# show_kernel DEVICE: its partitions, until undone; not in a subshell, which undoes nothing. A loop device would keep them when
# another file comes to it.
show_kernel() {
  partx --update "$1" || partx --add "$1" || no "the kernel takes no partitions of $1"
  later partx --delete "$1"
}
# kernel_sees DEVICE PARTITION: its "START SIZE" in bytes.
kernel_sees() {
  local name=${1##*/}p$2
  echo $(($(cat "/sys/class/block/$name/start") * 512)) $(($(cat "/sys/class/block/$name/size") * 512))
}

# Every partition holds what the image's does.
same_partitions() {
  local type at there
  for type in "$ROOT_TYPE" "$ESP_TYPE"; do
    read -ra at < <(partition_of "$image" "$type")
    read -ra there < <(partition_of "$1" "$type")
    [ "${at[*]}" = "${there[*]}" ] || no "partition ${at[0]} stands elsewhere: ${there[*]}"
    cmp -i "${at[1]}" -n "${at[2]}" "$1" "$image" || no "partition ${at[0]} differs"
  done
}

backup_moves() {
  need stampede loop
  local extra at
  read -ra at < <(partition_of "$image" "$ROOT_TYPE")
  for extra in 512 65536 $((77 << 20)); do
    larger_disk "$extra"
    deploy tiny:1 "dev:$disk"
    in_receipt '.fit == {backup_moved: true, grown_partition: 0, grown_from: 0, grown_to: 0, grown_file_system: "", fresh_uuids: false}'
    sound_gpt "$disk"
    same_partitions "$disk"
    [ "$extra" -lt 65536 ] || [ -z "$(tail -c +$((size - 33 * 512 + 1)) "$file" | head -c $((33 * 512)) | tr -d '\0')" ] ||
      no "the old backup is still there"
    show_kernel "$disk"
    [ "$(kernel_sees "$disk" 2)" = "${at[1]} ${at[2]}" ] || no "the kernel sees another root partition"
    [ "$(sgdisk -p "$disk" | sed -n 's/^Disk identifier (GUID): //p')" = "$(jq -r '.disk.guid | ascii_upcase' "$LAB/receipt")" ]
  done
}

equal_disk_is_the_image() {
  need stampede loop
  larger_disk 0
  deploy tiny:1 "dev:$disk"
  same_bytes "$file" "$image"
}

sectors_of_4096() {
  need stampede loop
  local made=$LAB/native.img at
  truncate -s 64M "$made"
  disk=$(attach_disk "$made" --sector-size 4096)
  sgdisk -n 1:0:0 -t "1:$ROOT_TYPE" -c 1:root "$disk"
  mke2fs -q -F -t ext4 -b 4096 -E offset=$((256 * 4096)) "$made" "$((60 << 10))k"
  sync "$disk"
  losetup -d "$disk"
  import_image "$made" native:1 "$store" | jq -e '.sector_size == 4096' || true
  file=$LAB/native.out
  truncate -s 200M "$file"
  disk=$(attach_disk "$file" --sector-size 4096)
  deploy native:1 "dev:$disk" --grow
  in_receipt '.fit.backup_moved and .fit.grown_partition == 1 and .fit.grown_file_system == "ext4" and .disk.sector_size == 4096'
  sound_gpt "$disk"
  show_kernel "$disk"
  read -ra at < <(kernel_sees "$disk" 1)
  [ $((at[0] + at[1])) -eq $(((200 << 20) - 5 * 4096)) ] || no "the partition ends at $((at[0] + at[1]))"
  e2fsck -fn "${disk}p1" || no "e2fsck is not content"
  [ "$(blocks_of "${disk}p1")" = $((at[1] / 4096)) ] || no "the file system does not fill its partition"
}
blocks_of() { dumpe2fs -h "$1" 2>/dev/null | sed -n 's/^Block count: *//p'; }

# An MBR has no backup, a disk without a table nothing at all.
others_are_left() {
  need stampede loop
  local made=$LAB/dos.img
  truncate -s 32M "$made"
  printf 'label: dos\nlabel-id: 0x12345678\n2048,20480,83\n' | sfdisk -q "$made"
  mke2fs -q -F -t ext4 -E offset=1048576 "$made" 10240k
  import_image "$made" dos:1 "$store" >/dev/null
  size=$(stat -c %s "$made")
  larger_disk $((9 << 20))
  deploy dos:1 "dev:$disk"
  cmp -n "$size" "$file" "$made" || no "the MBR disk does not begin with the image"
  [ -z "$(tail -c +$((size + 1)) "$file" | tr -d '\0')" ] || no "something stands behind the image"
  deploy dos:1 "dev:$disk" --overwrite "$disk" --grow
  in_receipt '.fit.grown_partition == 1 and .fit.grown_file_system == "ext4" and (.fit.backup_moved | not)'
  show_kernel "$disk"
  [ "$(kernel_sees "$disk" 1)" = "1048576 $(((41 << 20) - (1 << 20)))" ] || no "the kernel sees $(kernel_sees "$disk" 1)"
  e2fsck -fn "${disk}p1" || no "e2fsck is not content"

  size=$(stat -c %s "$LAB/some")
  file=$LAB/bare.out
  truncate -s 1M "$file"
  disk=$(attach_disk "$file")
  deploy some:1 "dev:$disk"
  cmp -n "$size" "$file" "$LAB/some" || no "the disk without a table does not begin with the image"
  expect_status 21 deploy some:1 "file:$LAB/nothing" --grow
  expect_said 'grow'
  [ ! -e "$LAB/nothing" ] || no "a file was made for what is refused"
}

# grown_disk DISK END: table, file system and content after --grow; the partition ends there.
grown_disk() {
  local at dir=$LAB/mounted
  sound_gpt "$1"
  show_kernel "$1"
  read -ra at < <(kernel_sees "$1" 2)
  [ $((at[0] + at[1])) -eq "$2" ] || no "the partition ends at $((at[0] + at[1])) instead of $2"
  e2fsck -fn "${1}p2" || no "e2fsck is not content"
  [ "$(blocks_of "${1}p2")" = $((at[1] / 4096)) ] || no "the file system has $(blocks_of "${1}p2") blocks"
  mkdir -p "$dir"
  mount -t ext4 "${1}p2" "$dir"
  later unmount "$dir"
  list_tree "$dir" >"$LAB/tree"
  changed_paths "$(image_tree "$folder")" "$LAB/tree" >"$LAB/changed"
  only_customised "$LAB/changed" || no "more than first boot's files differs: $(cat "$LAB/changed")"
  # Room that there was not before.
  fallocate -l 300M "$dir/big" && sync "$dir/big" || no "the file system has not grown"
  unmount "$dir"
}
unmount() { ! mountpoint -q "$1" || umount "$1"; }

grows() {
  need stampede loop
  larger_disk $((400 << 20))
  deploy tiny:1 "dev:$disk" --grow --hostname grown
  in_receipt '.fit.backup_moved and .fit.grown_partition == 2 and .fit.grown_file_system == "ext4" and .fit.grown_to > .fit.grown_from'
  [ "$(read_in_root "$file" /var/lib/cloud/seed/nocloud/meta-data | grep -c grown)" = 1 ] || no "first boot's files are missing"
  grown_disk "$disk" $((size + (400 << 20) - 40 * 512))
}

# OVMF takes the table and starts the program on the ESP.
firmware_boots() {
  need stampede loop qemu
  local bootable
  bootable=$("$LAB_HERE/make-image" --variant bootable)/disk.img
  import_image "$bootable" bootable:1 "$store" >/dev/null
  size=$(stat -c %s "$bootable")
  larger_disk $((100 << 20))
  deploy bootable:1 "dev:$disk" --grow --fresh-uuids
  sound_gpt "$disk"
  uefi_boots "$file" 60 || no "the firmware does not boot it"
}

# Killed when resize2fs has done its work, and when it has only begun: nobody finds a table, and a second run completes.
interrupted_grow() {
  need stampede loop
  local moment job
  cp "$(command -v resize2fs)" "$LAB/resize2fs.real"
  for moment in before after; do
    larger_disk $((400 << 20))
    { echo '#!/bin/sh'
      [ "$moment" = before ] || echo "'$LAB/resize2fs.real' \"\$@\""
      echo "touch '$LAB/reached-$moment'; while kill -0 \$PPID; do sleep 0.2; done"
    } >"$LAB/resize2fs.$moment"
    chmod 755 "$LAB/resize2fs.$moment"
    start_in 1 "grow-$moment" unshare --mount --propagation private sh -c 'mount --bind "$1" "$(readlink -f /usr/sbin/resize2fs)" && shift && exec "$@"' sh "$LAB/resize2fs.$moment" \
      "$STAMPEDE" deploy tiny:1 --depot "$(depot_address)" --state "$LAB/state" --disk "dev:$disk" --progress none --grow
    job=$STARTED
    wait_for 60 "resize2fs" test -e "$LAB/reached-$moment" || no "resize2fs was not reached: $(tail -n 2 "$LAB/grow-$moment.log")"
    signal KILL "$job"
    wait "$job" 2>/dev/null || true
    no_table "$disk"
    "$STAMPEDE" disks --json | jq -e --arg disk "$disk" '.[] | select(.path == $disk) | .content | startswith("an interrupted deployment")' ||
      no "the disk is not known as interrupted"
    deploy tiny:1 "dev:$disk" --grow
    grown_disk "$disk" $((size + (400 << 20) - 40 * 512))
  done
}

# What is not ext4 keeps its size, and the receipt says so.
other_file_systems() {
  need stampede loop
  local made=$LAB/swap.img
  truncate -s 32M "$made"
  sgdisk -n 1:2048:0 -t 1:8200 "$made"
  mkswap --offset 1048576 "$made" 8192 2>/dev/null || true
  import_image "$made" swap:1 "$store" >/dev/null
  size=$(stat -c %s "$made")
  larger_disk $((9 << 20))
  deploy swap:1 "dev:$disk" --grow
  in_receipt '.fit.grown_partition == 1 and .fit.grown_file_system == ""'
  sound_gpt "$disk"
}

# uuid_image NAME: an image uuid:NAME of a machine that finds everything by UUID, in $made: ESP, root, swap. The initramfs of "resume"
# names the swap partition, as Debian's does.
uuid_image() {
  local root=$LAB/uuid-root esp=$LAB/uuid-esp
  ROOT_UUID=aaaaaaaa-1111-4222-8333-bbbbbbbbbbbb SWAP_UUID=cccccccc-1111-4222-8333-dddddddddddd
  ROOT_PART=eeeeeeee-1111-4222-8333-ffffffffffff
  made=$LAB/uuid-$1.img
  rm -rf "$root" "$esp"
  mkdir -p "$root"/{etc/default,boot/grub,usr/lib,var/lib} "$esp/EFI/debian" "$LAB/initramfs/conf/conf.d"
  echo 'ID=debian' >"$root/usr/lib/os-release"
  printf 'UUID=%s / ext4 defaults 0 1\nUUID=%s none swap sw 0 0\n' "$ROOT_UUID" "$SWAP_UUID" >"$root/etc/fstab"
  chmod 640 "$root/etc/fstab"
  printf 'search --fs-uuid --set=root %s\nlinux /boot/vmlinuz root=PARTUUID=%s ro\n' "${ROOT_UUID^^}" "$ROOT_PART" >"$root/boot/grub/grub.cfg"
  printf 'search.fs_uuid %s root\n' "$ROOT_UUID" >"$esp/EFI/debian/grub.cfg"
  echo 'MODULES=most' >"$LAB/initramfs/conf/initramfs.conf"
  rm -f "$LAB/initramfs/conf/conf.d/zz-resume-auto"
  [ "$1" != resume ] || echo "RESUME=UUID=$SWAP_UUID" >"$LAB/initramfs/conf/conf.d/zz-resume-auto"
  (cd "$LAB/initramfs" && find . | cpio -o -H newc --quiet | zstd -q) >"$root/boot/initrd.img"
  truncate -s 128M "$made"
  sgdisk -n 1:1M:+40M -t 1:ef00 -n 2:0:+48M -t "2:$ROOT_TYPE" -u "2:$ROOT_PART" -n 3:0:+16M -t 3:8200 "$made"
  fill_esp "$made" "$esp"
  E2FSPROGS_FAKE_TIME=1700000000 mke2fs -q -F -t ext4 -U "$ROOT_UUID" -E offset=$((41 << 20)) -d "$root" "$made" "$((48 << 10))k"
  truncate -s 16M "$LAB/swap" && mkswap -q -U "$SWAP_UUID" "$LAB/swap"
  dd if="$LAB/swap" of="$made" bs=1M seek=89 conv=notrunc status=none
  import_image "$made" "uuid:$1" "$store" >/dev/null
}

uuid_of() { blkid -p -s UUID -o value --offset "$2" "$1"; }

fresh_uuids() {
  need stampede loop
  local i root swap part seen=
  . "$LAB_HERE/recipe/layout.sh"
  uuid_image plain
  size=$(stat -c %s "$made")
  for i in 1 2; do
    larger_disk $((i * 50 << 20))
    deploy uuid:plain "dev:$disk" --fresh-uuids --grow
    in_receipt '.fit.fresh_uuids and .fit.grown_partition == 3 and (.changed_files | sort == ["/boot/grub/grub.cfg", "/etc/fstab", "partition 1: /EFI/DEBIAN/GRUB.CFG"])'
    sound_gpt "$disk"
    root=$(uuid_of "$disk" $((41 << 20))) swap=$(uuid_of "$disk" $((89 << 20)))
    part=$(sgdisk -i 2 "$disk" | sed -n 's/^Partition unique GUID: //p')
    [ "$(sgdisk -p "$disk" | sed -n 's/^Disk identifier (GUID): //p')" = "$(jq -r '.disk.guid | ascii_upcase' "$LAB/receipt")" ] ||
      no "the receipt names another disk GUID"
    ! grep -Eqi "$ROOT_UUID|$SWAP_UUID|$ROOT_PART" "$file" || no "an old id is left on the disk"
    read_in_root "$file" /etc/fstab >"$LAB/fstab"
    printf 'UUID=%s / ext4 defaults 0 1\nUUID=%s none swap sw 0 0\n' "$root" "$swap" | cmp - "$LAB/fstab" || no "fstab: $(cat "$LAB/fstab")"
    read_in_root "$file" /boot/grub/grub.cfg | grep -qi "root=PARTUUID=$part" || no "grub.cfg names another partition"
    read_in_root "$file" /boot/grub/grub.cfg | grep -q "set=root $root" || no "grub.cfg names another file system"
    mtype -i "$file@@1M" ::EFI/debian/grub.cfg | grep -q "search.fs_uuid $root root" || no "the ESP names another file system"
    sound_root "$file" || no "e2fsck is not content"
    debugfs -R 'stat /etc/fstab' "$file?offset=$((41 << 20))" 2>/dev/null | grep -q 'Mode: *0640' || no "fstab's mode has changed"
    for i in $root $swap $part; do
      [[ $seen != *"$i"* ]] || no "two disks share $i"
      seen+=" $i"
    done
  done
}

# Nothing is written where the ids cannot follow, or nobody looked whether they can.
fresh_uuids_refused() {
  need stampede loop
  . "$LAB_HERE/recipe/layout.sh"
  uuid_image resume
  size=$(stat -c %s "$made")
  larger_disk 0
  expect_status 21 deploy uuid:resume "dev:$disk" --fresh-uuids
  expect_said 'initrd.img of partition 2, which cannot be edited'
  [ -z "$(tr -d '\0' <"$file" | head -c 1)" ] || no "the disk was written"
  expect_status 21 deploy some:1 "file:$LAB/nothing" --fresh-uuids
  expect_said 'no partition table'
}

if ! have_stampede >/dev/null; then say "nothing is built"; else prepare_one_node; fi
run_case "the backup GPT comes to the disk's end" 60 backup_moves
run_case "a disk of the image's size is the image" 30 equal_disk_is_the_image
run_case "4096-byte sectors" 60 sectors_of_4096
run_case "MBR and no table are left alone" 60 others_are_left
run_case "--grow and first boot" 60 grows
run_case "--grow, and the firmware boots it" 90 firmware_boots
run_case "--grow, interrupted" 60 interrupted_grow
run_case "--grow of other file systems" 30 other_file_systems
run_case "--fresh-uuids" 60 fresh_uuids
run_case "--fresh-uuids, refused" 30 fresh_uuids_refused
end_cases

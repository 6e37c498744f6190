# shellcheck shell=bash
# From folders to a partitioned disk, without mounting or loop devices. Part of make-image.

# Fixed, so that a rebuilt image is recognisable as the same template.
LAB_DISK_GUID=7a3c1b52-5f0e-4c39-9d52-1f6d3b0a7e11
LAB_ROOT_GUID=7a3c1b52-5f0e-4c39-9d52-1f6d3b0a7e13
LAB_EPOCH=1700000000

# lay_out DISK MIB ESP-MIB: an empty GPT disk with an EFI system partition and a root partition over the rest.
lay_out() {
  truncate -s "${2}M" "$1"
  sgdisk --clear -U "$LAB_DISK_GUID" -n "1:1M:+${3}M" -t 1:ef00 -c 1:esp -u 1:7a3c1b52-5f0e-4c39-9d52-1f6d3b0a7e12 \
    -n 2:0:0 -t "2:$ROOT_TYPE" -c 2:root -u "2:$LAB_ROOT_GUID" "$1"
}

# fill_root DISK FOLDER: the folder becomes the ext4 file system of the root partition.
fill_root() {
  local at
  read -ra at < <(partition_of "$1" "$ROOT_TYPE")
  E2FSPROGS_FAKE_TIME=$LAB_EPOCH mke2fs -q -F -t ext4 -b 4096 -L root -U "$LAB_ROOT_GUID" \
    -E "offset=${at[1]},hash_seed=$LAB_ROOT_GUID" -d "$2" "$1" "$((at[2] / 1024))k"
  fallocate --dig-holes "$1"
}

# fill_esp DISK FOLDER: the folder becomes the FAT32 file system of the EFI system partition (at least 40 MiB).
fill_esp() {
  local at esp=$LAB/esp.img
  read -ra at < <(partition_of "$1" "$ESP_TYPE")
  rm -f "$esp"
  mkfs.vfat --invariant -F 32 -s 1 -n ESP -C "$esp" "$((at[2] / 1024))"
  (cd "$2" && mcopy -s -i "$esp" -- * ::)
  dd if="$esp" of="$1" bs=1M seek="$((at[1] >> 20))" conv=notrunc,sparse status=none
  rm -f "$esp"
}

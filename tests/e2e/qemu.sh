#!/usr/bin/env bash
# Disks with serial numbers and WWNs, in a QEMU guest: a small initial RAM disk with nothing but the stampede command, which
# writes the guest's disks from a depot outside. One boot; each case looks at what came of it.
# timeout: 500
. "$(dirname "$0")/../lab/lib.sh"
lab_begin
store=$LAB/store
WWN=0x5000c50015ea71ac  # as QEMU takes it; the kernel says naa.5000c50015ea71ac

# The command and its libraries over the initial RAM disk of the Debian image, whose kernel modules it takes.
make_initrd() {
  local root=$LAB/initrd library
  mkdir -p "$root/lab/lib"
  cp "$STAMPEDE" "$root/lab/stampede"
  cp "$(command -v busybox)" "$root/lab/busybox"
  cp "$LAB_HERE/guest/init" "$root/lab/init"
  for library in $(ldd "$STAMPEDE" | grep -o '/[^ ]*'); do cp -L "$library" "$root/lab/lib/"; done
  mv "$root/lab/lib"/ld-linux* "$root/lab/lib/ld.so"
  cp "$LAB/token" "$root/lab/token"
  cp "$LAB/commands" "$root/lab/commands"
  cp "$debian/initrd.img" "$LAB/initrd.img"
  truncate -s %4 "$LAB/initrd.img"  # where the kernel looks for the next archive
  (cd "$root" && find lab | cpio --quiet -o -H newc) >>"$LAB/initrd.img"
}

deploy="deploy tiny:1 --token-file /lab/token --state /lab/state --progress none --patience 20s --depot"
write_commands() {
  deploy+=" $(depot_address)"
  cat >"$LAB/commands" <<COMMANDS
disks disks --json
by-serial $deploy --disk serial:LAB-BLK-1
by-wwn $deploy --disk wwn:$WWN
by-nvme $deploy --disk serial:LAB-NVME-1
none $deploy --disk serial:LAB-BLK
two $deploy --disk serial:TWIN
small $deploy --disk serial:SMALL
sectors $deploy --disk serial:SECTORS-4096
again $deploy --disk serial:LAB-BLK-1
COMMANDS
}

run_guest() {
  local size file options=() pid
  image=$("$LAB_HERE/make-image" --variant tiny)/disk.img
  debian=$("$LAB_HERE/make-image")
  import_image "$image" tiny:1 "$store" >/dev/null
  make_network 1
  start_depot "$store"
  new_token "$store" "$LAB/token" --uses 10
  write_commands
  make_initrd
  size=$(stat -c %s "$image")
  for file in blk scsi nvme twin-1 twin-2 sectors; do blank_disk "$LAB/$file.img" "$size"; done
  blank_disk "$LAB/small.img" 16M
  for file in blk scsi nvme twin-1 twin-2 sectors small; do options+=(-drive "if=none,id=$file,format=raw,file=$LAB/$file.img"); done
  MACHINE_NODE=depot machine guest -smp "$(nproc)" -kernel "$debian/vmlinuz" -initrd "$LAB/initrd.img" \
    -append "console=ttyS0 quiet panic=-1 rdinit=/lab/init" -nic user,model=virtio-net-pci "${options[@]}" \
    -device virtio-blk-pci,drive=blk,serial=LAB-BLK-1 -device virtio-scsi-pci \
    -device "scsi-hd,drive=scsi,serial=LAB-SCSI-1,wwn=$WWN" -device nvme,drive=nvme,serial=LAB-NVME-1 \
    -device virtio-blk-pci,drive=twin-1,serial=TWIN -device virtio-blk-pci,drive=twin-2,serial=TWIN \
    -device virtio-blk-pci,drive=sectors,serial=SECTORS-4096,logical_block_size=4096,physical_block_size=4096 \
    -device virtio-blk-pci,drive=small,serial=SMALL
  pid=$STARTED
  console_says guest lab-all-done 360 >/dev/null || { tail -n 20 "$LAB/guest.console" >&2; return 1; }
  wait_for 10 "the guest to power off" not_running "$pid" || end_process "$pid"
  tr -d '\r' <"$LAB/guest.console" >"$LAB/console"
}
not_running() { ! is_running "$1"; }

# ran NAME STATUS [PATTERN]: the guest ran that command, with that status, and it said so.
ran() {
  [ -z "${unable:-}" ] || skip "$unable"
  grep "^lab-said $1 " "$LAB/console" | cut -d' ' -f3- || true
  local status
  status=$(sed -n "s/^lab-result $1 //p" "$LAB/console")
  [ "$status" = "$2" ] || no "status ${status:-none} instead of $2: $(grep "^lab-said $1 " "$LAB/console" | tail -n 1 | cut -d' ' -f3-)"
  [ -z "${3:-}" ] || grep "^lab-said $1 " "$LAB/console" | grep -Eq -- "$3" || no "does not say '$3'"
}
is_image() { same_bytes "$LAB/$1.img" "$image"; }
is_blank() { cmp -n "$(stat -c %s "$LAB/$1.img")" "$LAB/$1.img" /dev/zero || no "$1 was written"; }

lists_disks() {
  ran disks 0
  grep '^lab-said disks \[' "$LAB/console" | cut -d' ' -f3- | jq -e --arg wwn "$WWN" '
    ([.[] | select(.serial == "LAB-BLK-1" and .writable)] | length == 1) and
    ([.[] | select(.serial == "TWIN")] | length == 2) and
    ([.[] | select(.serial == "SECTORS-4096" and .sector_size == 4096)] | length == 1) and
    ([.[] | select(.wwn | . == "naa." + $wwn[2:])] | length == 1)' || no "the list lacks something"
}
by_serial() { ran by-serial 0; is_image blk; }
by_wwn() { ran by-wwn 0; is_image scsi; }
by_nvme() { ran by-nvme 0; is_image nvme; }
matches_none() { ran none 10 'serial:LAB-BLK'; }
matches_two() { ran two 11 'TWIN'; is_blank twin-1; is_blank twin-2; }
small_disk() { ran small 17 '/dev/'; is_blank small; }
other_sectors() { ran sectors 18 '4096'; is_blank sectors; }
known_by_its_receipt() { ran again 0 'which this site deployed'; is_image blk; }

unable=
for probe in stampede namespaces qemu; do unable=$("have_$probe") || break; done
[ -n "$unable" ] || run_guest || unable_to_run=1
if [ -n "${unable_to_run:-}" ]; then
  echo "not ok a guest that writes its disks: it did not come to an end"
  exit 1
fi
run_case "disks are listed with serial and WWN" 20 lists_disks
run_case "a deployment by serial, virtio" 20 by_serial
run_case "a deployment by WWN, SCSI" 20 by_wwn
run_case "a deployment by serial, NVMe" 20 by_nvme
run_case "a selector that matches none" 20 matches_none
run_case "a selector that matches two" 20 matches_two
run_case "a disk that is too small, by serial" 20 small_disk
run_case "a disk of another sector size, by serial" 20 other_sectors
run_case "a second deployment onto the same disk needs no --overwrite" 20 known_by_its_receipt
end_cases

# shellcheck shell=bash
# Machines of the lab: QEMU without hardware help. Part of lib.sh.

have_qemu() { have_command qemu-system-x86_64; }
have_ovmf() { have_qemu && { [ -f "$LAB_OVMF" ] || { echo "no $LAB_OVMF; run tools/setup"; return 1; }; }; }
LAB_OVMF=/usr/share/OVMF/OVMF_CODE_4M.fd

# machine NAME [QEMU option…]: starts one with its serial console in $LAB/NAME.console; the process id is in $STARTED. With
# MACHINE_NODE set it runs in that node of the network.
machine() {
  local name=$1 run=(start "$1")
  [ -z "${MACHINE_NODE:-}" ] || run=(start_in "$MACHINE_NODE" "$1")
  shift
  : >"$LAB/$name.console"
  "${run[@]}" qemu-system-x86_64 -machine q35 -cpu max -accel tcg,thread=multi -m 1024 -display none -no-reboot \
    -serial "file:$LAB/$name.console" -monitor none "$@"
}

# console_says NAME PATTERN SECONDS: waits for a line; prints the matching ones. Status 1 when the machine has ended or the
# time is over.
console_says() {
  local pid=$STARTED end=$((SECONDS + $3))
  while ! grep -aE -- "$2" "$LAB/$1.console"; do
    [ "$SECONDS" -lt "$end" ] || { say "the console of $1 did not say '$2' in $3 s"; return 1; }
    is_running "$pid" || { sleep 0.2; grep -aE -- "$2" "$LAB/$1.console" && return 0; say "$1 ended without saying '$2'"; return 1; }
    sleep 0.2
  done
}

# uefi_boots DISK SECONDS [SECTOR-SIZE]; bios_boots DISK SECONDS [SECTOR-SIZE]: the same for a BIOS.
uefi_boots() {
  local vars=$LAB/uefi-$RANDOM.vars
  cp /usr/share/OVMF/OVMF_VARS_4M.fd "$vars"
  firmware_takes "$@" -drive "if=pflash,format=raw,readonly=on,file=$LAB_OVMF" -drive "if=pflash,format=raw,file=$vars"
}
bios_boots() { firmware_takes "$1" "$2" "${3:-512}" -machine graphics=off; }
firmware_takes() {
  local name=firmware-$RANDOM pid status=0 sector=512 disk=$1 seconds=$2
  shift 2
  [[ ${1:-} != [0-9]* ]] || { sector=$1 && shift; }
  machine "$name" -net none "$@" -drive "if=none,id=disk,format=raw,snapshot=on,file=$disk" \
    -device "virtio-blk-pci,drive=disk,bootindex=1,logical_block_size=$sector,physical_block_size=$sector"
  pid=$STARTED
  console_says "$name" 'lab-disk-booted|Shell>|No bootable|PXE' "$seconds" >"$LAB/$name.said" || status=1
  end_process "$pid"
  [ "$status" = 0 ] && grep -q lab-disk-booted "$LAB/$name.said"
}

# boot_disk DISK IMAGE-FOLDER PATTERN SECONDS: with the image's kernel; prints the lines that match.
boot_disk() {
  local pid status=0
  machine boot -smp "$(nproc)" -kernel "$2/vmlinuz" -initrd "$2/initrd.img" \
    -append "root=LABEL=root ro console=ttyS0 panic=-1 ${BOOT_OPTIONS:-quiet}" -nic user,model=virtio-net-pci,net=10.77.0.0/24 \
    -drive "if=virtio,format=raw,snapshot=on,file=$1"
  pid=$STARTED
  console_says boot "$3" "$4" || status=1
  end_process "$pid"
  return "$status"
}

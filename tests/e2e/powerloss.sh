#!/usr/bin/env bash
# Power loss at any write of a deployment onto a disk that held a bootable image: every flush boundary, and for each epoch
# between two flushes random subsets of its writes, in random order and torn (tests/powerloss). Each state is the old disk, or
# not bootable, or complete; and from a sample of them a second run completes. The power goes in such a second run too.
#
#   STATES=100 tests/e2e/powerloss.sh     random states of each epoch (3); SEED: which; RESUMES: second runs of each log (1);
#                                         BOOTS: how many states firmware is asked for in each case (0); RATE: of the link
# timeout: 900
. "$(dirname "$0")/../lab/lib.sh"
. "$LAB_HERE/proof.sh"
lab_begin
store=$LAB/store
states=${STATES:-3}
resumes=${RESUMES:-1}
boots=${BOOTS:-0}
seed=${SEED:-$(($(date +%s) % 32768))}
crash_states=$LAB_ROOT/build/tests/powerloss/crash_states

have_crash_states() { [ -x "$crash_states" ] || { echo "no $crash_states; run tools/build"; return 1; }; }

prepare() {
  prepare_old_and_new
  # In memory where there is plenty: disks, logs, and states, which are made by writing much of the disk.
  [ "$(df --output=avail -m /dev/shm | tail -n 1)" -lt 8192 ] || folder=$(mktemp -d /dev/shm/stampede-states.XXXXXX)
  folder=${folder:-$LAB/states}
  mkdir -p "$folder/states"
  later rm -rf "$folder"
  head -c 32M /dev/urandom >"$LAB/bystander.img"
}

# What a case deploys, and how; a case may change it, since each has a shell of its own.
image_name=new:1  # at the depot
image=          # its file
sector=512      # of the disk
options=()      # of `deploy`
firmware=uefi_boots
complete=is_the_image  # is_…: is that disk, whose receipt is $LAB/target.receipt, what it should be?
rate=${RATE:-1gbit}

# Disks that are larger than the image: the old one's backup header at the disk's end, or where the old image ended.
larger() { cp --sparse=always "$old" "$1" && truncate -s +96M "$1"; }
grown() { larger "$1" && sgdisk -e "$1" >/dev/null; }
same_size() { cp --sparse=always "$old" "$1"; }

# on_loop COMMAND…, the last of it a file: on a loop device over that file, with the case's sectors.
on_loop() {
  local disk status=0
  disk=$(losetup --find --show --sector-size "$sector" "${!#}")
  later detach_disk "$disk" "${!#}"
  "${@:1:$#-1}" "$disk" || status=$?
  detach_disk "$disk" "${!#}"
  return "$status"
}

# The image, but for the table that a larger disk needs, with its backup at the disk's end.
is_the_image() {
  local size head tail
  size=$(stat -c %s "$image")
  if [ "$(stat -c %s "$1")" = "$size" ]; then same_bytes "$1" "$image"; return; fi
  on_loop sgdisk --verify "$1" | grep -q '^No problems found' || no "sgdisk finds fault with the disk's tables"
  # Boot sector, header and 16 KiB of entries; entries and header.
  head=$((2 * sector + 16384)) tail=$((16384 + sector))
  cmp -i $head -n $((size - head - tail)) "$1" "$image" || no "the disk does not hold the image"
  [ "$(table_of "$1")" = "$(table_of "$image")" ] || no "the disk's partition table is not the image's"
}
table_of() { on_loop sfdisk --json "$1" | jq -S '.partitiontable | [.id, [.partitions[] | del(.node)]]'; }

# power_loss MAKE-OLD
power_loss() {
  need stampede logged_disk namespaces crash_states
  # Slow enough for some records of the journal.
  shape depot e0 "$rate"
  local before=$folder/before.img disk=$folder/disk.img sum
  image=${image:-$new}
  "$1" "$before"
  sum=$(sha256sum <"$LAB/bystander.img")
  attach_disk "$LAB/bystander.img" >/dev/null
  logged_deployment "$before" "$disk" --overwrite
  "$complete" "$disk"
  prove_firmware "$before" "$disk"
  judge "$before" "$disk"
  [ -z "${again:-}" ] || resume_from=$(state_with_journal)
  second_runs "$disk"
  [ -z "${again:-}" ] || power_loss_again "$disk"
  [ "$(sha256sum <"$LAB/bystander.img")" = "$sum" ] || no "another disk has changed"
}

# Both would be booted, or what follows proves nothing.
prove_firmware() {
  [ "$boots" -gt 0 ] || return 0
  "${firmware_before:-$firmware}" "$1" 60 "$sector" || no "firmware does not boot the old disk"
  "$firmware" "$2" 60 "$sector" || no "firmware does not boot the finished disk"
}

# The run onto the state that was kept for it, which goes on where its journal says.
power_loss_again() {
  logged_deployment "$resume_from" "$folder/again.img"
  from_journal || no "the second run used nothing of what was there"
  is_complete_as "$folder/again.img" "$1"
  judge "$resume_from" "$folder/again.img"
  second_runs "$folder/again.img"
}

# logged_deployment BEFORE DISK [--overwrite]: onto DISK, as BEFORE to begin with; the log of its writes is $folder/log.
logged_deployment() {
  cp --sparse=always "$1" "$2"
  attach_logged "$2" "$folder/log" --sector-size "$sector"
  deploy_onto "$LOGGED_DISK" ${3:+"$3"} || no "$(tail -n 1 "$LAB/target.log")"
  detach_logged
}
# deploy_onto DISK [--overwrite]
deploy_onto() {
  start_deploy 1 target "$image_name" "$LAB/token" "dev:$1" "${options[@]}" ${2:+"$2" "$1"}
  await "$STARTED" target
}
from_journal() { jq -e '.bytes.local > 0' "$LAB/target.receipt"; }

# judge BEFORE DISK: the states of the log, of which some are kept.
judge() {
  local began=$EPOCHREALTIME keep=$resumes
  # Among so many there is one from the midst of the transfer.
  [ -z "${again:-}" ] || keep=$((resumes + 12))
  rm -f "$folder"/states/*
  "$crash_states" --log "$folder/log" --old "$1" --complete "$2" --folder "$folder/states" --states "$states" --seed "$seed" \
    --sector "$sector" --keep "$keep" >"$LAB/judged" 2>"$LAB/wrong" || no "$(tail -n 1 "$LAB/wrong")"
  cat "$LAB/judged"
  remark "$(tail -n 1 "$LAB/judged"); $(since "$began") s; seed $seed"
}

# The state in the middle of those whose journal has begun.
state_with_journal() {
  local found=() state
  for state in "$folder"/states/kept-*-unbootable.img; do
    [ "$(head -c $((544 << 10)) "$state" | tail -c +$(((64 << 10) + 1)) | head -c 8)" != STMPJRNL ] || found+=("$state")
  done
  [ ${#found[@]} -gt 0 ] || no "no state that was kept has a journal (seed $seed)"
  cp --sparse=always "${found[${#found[@]} / 2]}" "$folder/resumed.img"
  echo "$folder/resumed.img"
}

# second_runs DISK: on states that were kept; each becomes that disk.
second_runs() {
  local state seen=0 run=0 used=0 asked=0 kept=("$folder"/states/kept-*.img)
  local every=$((${#kept[@]} / resumes))
  for state in "${kept[@]}"; do
    [ -e "$state" ] || continue
    if [[ $state = *unbootable* ]] && [ "$asked" -lt "$boots" ]; then
      does_not_boot "$state"
      asked=$((asked + 1))
    fi
    [ $((seen++ % (every > 0 ? every : 1))) -eq 0 ] || continue
    second_run "$state" "$1"
    run=$((run + 1))
    used=$((used + $(from_journal >/dev/null && echo 1 || echo 0)))
  done
  remark "second runs complete: $run, $used of them with what was there; firmware asked: $asked"
}
does_not_boot() {
  local by
  for by in $(printf '%s\n' "$firmware" "${firmware_before:-$firmware}" | sort -u); do
    ! "$by" "$1" 40 "$sector" || no "${by%_boots} firmware boots ${1##*/} (seed $seed)"
  done
}

# second_run STATE DISK: one that is ours needs no --overwrite.
second_run() {
  local disk overwrite=--overwrite
  mv "$1" "$LAB/state.img"
  [ "$(head -c 8 "$LAB/state.img")" != STMPMARK ] || overwrite=
  disk=$(attach_disk "$LAB/state.img" --sector-size "$sector")
  deploy_onto "$disk" $overwrite || no "a second run on ${1##*/} (seed $seed): $(tail -n 1 "$LAB/target.log")"
  detach_disk "$disk" "$LAB/state.img"
  # Blocks that had been edited are lost to it, and told so.
  [ "$complete" = is_edited ] || ! grep 'had made durable' "$LAB/target.log" ||
    no "the journal of ${1##*/} (seed $seed) names what is not there"
  is_complete_as "$LAB/state.img" "$2"
}
# A machine's own ids are new in each run.
is_complete_as() { if [ "$complete" = is_edited ]; then is_edited "$1"; else same_bytes "$1" "$2"; fi; }

of_the_same_size() { again=1 rate=${RATE:-300mbit}; power_loss same_size; }

# A disk of 4096-byte sectors, whose image has the same files. (FAT32 would be too large with such sectors.)
native_image() {
  local at esp=$LAB/native-esp.img disk
  blank_disk "$1" "$(stat -c %s "$2")"
  sector=4096 on_loop sgdisk -n 1:1M:+40M -t 1:ef00 -n 2:0:0 -t "2:$ROOT_TYPE" "$1"
  mkfs.vfat --invariant -F 16 -S 4096 -s 1 -C "$esp" $((40 << 10))
  mcopy -i "$2@@1M" ::EFI/BOOT/BOOTX64.EFI "$LAB/booted.efi"
  mmd -i "$esp" ::EFI ::EFI/BOOT
  mcopy -i "$esp" "$LAB/booted.efi" ::EFI/BOOT/BOOTX64.EFI
  dd if="$esp" of="$1" bs=1M seek=1 conv=notrunc,sparse status=none
  read -ra at < <(partition_of "$2" "$ROOT_TYPE")
  dd if="$2" of="$1" bs=1M skip=$((at[1] >> 20)) seek=41 count=$(((at[2] >> 20) - 1)) conv=notrunc,sparse status=none
  rm -f "$esp" "$LAB/booted.efi"
}
native_old() { native_image "$1" "$old" && truncate -s +96M "$1" && on_loop sgdisk -e "$1"; }
of_native_sectors() {
  need stampede loop
  image=$LAB/native.img image_name=native:1 sector=4096
  native_image "$image" "$new"
  import_image "$image" "$image_name" "$store"
  power_loss native_old
}

# mbr_image FROM TO: a disk that a BIOS boots, with one partition where the other has its root.
mbr_image() {
  local at size
  size=$(stat -c %s "$1")
  read -ra at < <(partition_of "$1" "$ROOT_TYPE")
  cp --sparse=always "$1" "$2"
  head -c 17408 /dev/zero | dd of="$2" conv=notrunc status=none
  head -c 16896 /dev/zero | dd of="$2" bs=512 seek=$((size / 512 - 33)) conv=notrunc status=none
  sfdisk -q "$2" <<<"label: dos
$((at[1] / 512)) $((at[2] / 512)) L *"
  clang-19 --target=i386-unknown-none -c -o "$LAB/booted.o" "$LAB_HERE/bios/booted.S"
  ld.lld-19 -Ttext 0x7c00 --oformat binary -o "$LAB/booted.bin" "$LAB/booted.o"
  [ "$(stat -c %s "$LAB/booted.bin")" -le 440 ] || no "the boot code does not fit"
  dd if="$LAB/booted.bin" of="$2" conv=notrunc status=none
}
# Written over a disk that had a GPT, whose backup is still there.
mbr_over_gpt() {
  grown "$1"
  mbr_image "$old" "$LAB/mbr-old.img"
  dd if="$LAB/mbr-old.img" of="$1" bs=1M conv=notrunc status=none
}
onto_an_mbr() { firmware_before=bios_boots; power_loss mbr_over_gpt; }
of_an_mbr() {
  need stampede loop
  image=$LAB/mbr.img image_name=mbr:1 firmware=bios_boots firmware_before=uefi_boots complete=is_the_mbr_image
  mbr_image "$new" "$image"
  import_image "$image" "$image_name" "$store"
  power_loss grown
}
is_the_mbr_image() {
  cmp -n "$(stat -c %s "$image")" "$1" "$image" || no "the disk does not hold the image"
  [ -z "$(tail -c 64K "$1" | tr -d '\0')" ] || no "a backup table is left"
}

# The new image, but much of it stands elsewhere: some blocks a MiB further on, so that moves overlap, and two runs in each
# other's place, so that they go in circles.
moved_about() {
  local at block first
  cp --sparse=always "$new" "$1"
  read -ra at < <(partition_of "$new" "$ROOT_TYPE")
  # Within the large file of other_image.
  block=$(dumpe2fs -h "$new?offset=${at[1]}" 2>/dev/null | awk '/^Block size:/ { print $3 }')
  first=$(debugfs -R "blocks more" "$new?offset=${at[1]}" 2>/dev/null | awk '{ print $1 }')
  at=$((at[1] + first * block >> 20))
  dd if="$new" of="$1" bs=1M skip=$((at + 4)) seek=$((at + 5)) count=20 conv=notrunc status=none
  dd if="$new" of="$1" bs=1M skip=$((at + 30)) seek=$((at + 50)) count=8 conv=notrunc status=none
  dd if="$new" of="$1" bs=1M skip=$((at + 50)) seek=$((at + 30)) count=8 conv=notrunc status=none
  head -c 6M /dev/urandom | dd of="$1" bs=1M seek=$((at + 65)) conv=notrunc status=none
  sgdisk -G "$1" >/dev/null
}
by_moves() {
  again=1 rate=${RATE:-100mbit} options=(--delta always) complete=is_moved
  power_loss moved_about
}
is_moved() {
  is_the_image "$1"
  jq -e '.bytes | .moved > 20000000 and .local > 40000000' "$LAB/target.receipt" || no "$(jq -c .bytes "$LAB/target.receipt")"
}

# A machine's own name, keys, network, role and ids, on a disk that its image does not fill.
with_edits() {
  need stampede loop
  again=1 rate=${RATE:-300mbit} image=$old image_name=old:1 complete=is_edited
  import_image "$old" "$image_name" "$store"
  echo 'version: 2' >"$LAB/network.yaml"
  echo "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb admin" >"$LAB/key.pub"
  options=(--grow --fresh-uuids --unspecified zero --hostname edited-1 --role base --network "$LAB/network.yaml"
    --ssh-key "$LAB/key.pub")
  power_loss new_and_larger
}
new_and_larger() { cp --sparse=always "$new" "$1" && truncate -s +96M "$1"; }
is_edited() {
  sgdisk --verify "$1" | grep -q '^No problems found' || no "sgdisk finds fault with the disk's tables"
  "$LAB_HERE/exact-but-edited" "$1" "$image" "$LAB/target.receipt" || no "more differs from the image than was edited"
  sound_root "$1" || no "e2fsck is not content"
  differences "$1" "${image%/*}" || no "more files differ than first boot's"
  read_in_root "$1" /var/lib/cloud/seed/nocloud/meta-data | grep -q edited-1 || no "the machine has no name"
}

if ! have_stampede >/dev/null; then say "nothing is built"; else prepare; fi
run_case "power loss on a disk of the image's size, and again in the second run" 1200 of_the_same_size
run_case "power loss on a larger disk" 1200 power_loss grown
run_case "power loss on a larger disk with a backup table in its middle" 1200 power_loss larger
run_case "power loss on a disk of 4096-byte sectors" 1200 of_native_sectors
run_case "power loss on a disk that a BIOS booted by its MBR" 1200 onto_an_mbr
run_case "power loss of an MBR image on a disk that had a GPT" 1200 of_an_mbr
run_case "power loss while chunks are moved, and again in the second run" 1200 by_moves
run_case "power loss with --grow, --fresh-uuids and first boot, and again in the second run" 1200 with_edits
end_cases

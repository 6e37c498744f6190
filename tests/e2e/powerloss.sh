#!/usr/bin/env bash
# Power loss at any write of a deployment onto a disk that held a bootable image: every flush boundary, and for each epoch
# between two flushes random subsets of its writes, in random order and torn (tests/powerloss). Each state is the old disk, or
# not bootable, or complete; and from a sample of them a second run completes.
#
#   STATES=100 tests/e2e/powerloss.sh     random states of each epoch (8); SEED: which; RESUMES: second runs of each case (2);
#                                         BOOTS: how many states firmware is asked for in each case (0)
# timeout: 900
. "$(dirname "$0")/../lab/lib.sh"
lab_begin
store=$LAB/store
states=${STATES:-8}
resumes=${RESUMES:-2}
boots=${BOOTS:-0}
seed=${SEED:-$(($(date +%s) % 32768))}
crash_states=$LAB_ROOT/build/tests/powerloss/crash_states

have_crash_states() { [ -x "$crash_states" ] || { echo "no $crash_states; run tools/build"; return 1; }; }

prepare() {
  prepare_old_and_new
  # In memory where there is plenty: states are made by writing much of the disk.
  [ "$(df --output=avail -m /dev/shm | tail -n 1)" -lt 8192 ] || folder=$(mktemp -d /dev/shm/stampede-states.XXXXXX)
  folder=${folder:-$LAB/states}
  mkdir -p "$folder"
  later rm -rf "$folder"
  head -c 32M /dev/urandom >"$LAB/bystander.img"
}

# Disks that are larger than the image: the old one's backup header at the disk's end, or where the old image ended.
larger() { cp --sparse=always "$old" "$1" && truncate -s +96M "$1"; }
grown() { larger "$1" && sgdisk -e "$1" >/dev/null; }
same_size() { cp --sparse=always "$old" "$1"; }

# is_complete DISK: the image, but for the table that a larger disk needs, with its backup at the disk's end.
is_complete() {
  local size
  sgdisk --verify "$1" | grep -q '^No problems found' || no "sgdisk finds fault with the disk's tables"
  size=$(stat -c %s "$new")
  if [ "$(stat -c %s "$1")" = "$size" ]; then same_bytes "$1" "$new"; return; fi
  # 34 sectors at the start, 33 at the end.
  cmp -i 17408 -n $((size - 17408 - 16896)) "$1" "$new" || no "the disk does not hold the image"
  [ "$(table_of "$1")" = "$(table_of "$new")" ] || no "the disk's partition table is not the image's"
}
table_of() { sfdisk --json "$1" | jq -S '.partitiontable | [.id, [.partitions[] | del(.node)]]'; }

# power_loss MAKE-OLD [deploy option…]
power_loss() {
  need stampede logged_disk namespaces crash_states
  # Slow enough for some records of the journal.
  shape depot e0 "${RATE:-1gbit}"
  local before=$LAB/before.img disk=$LAB/disk.img sum began
  rm -rf "$folder"/*
  "$1" "$before"
  shift
  cp --sparse=always "$before" "$disk"
  sum=$(sha256sum <"$LAB/bystander.img")
  attach_disk "$LAB/bystander.img" >/dev/null
  logged_deployment "$disk" --overwrite
  is_complete "$disk"
  began=$EPOCHREALTIME
  "$crash_states" --log "$LAB/log" --old "$before" --complete "$disk" --folder "$folder" --states "$states" --seed "$seed" \
    --keep "$resumes" >"$LAB/judged" 2>"$LAB/wrong" || no "$(tail -n 1 "$LAB/wrong")"
  cat "$LAB/judged"
  remark "$(tail -n 1 "$LAB/judged"); $(since "$began") s; seed $seed"
  resume_all "$disk"
  [ "$(sha256sum <"$LAB/bystander.img")" = "$sum" ] || no "another disk has changed"
}

# logged_deployment DISK [--overwrite]: onto that file; the log of its writes is $LAB/log.
logged_deployment() {
  attach_logged "$1" "$LAB/log"
  start_deploy 1 target new:1 "$LAB/token" "dev:$LOGGED_DISK" ${2:+"$2" "$LOGGED_DISK"}
  await "$STARTED" target || no "$(tail -n 1 "$LAB/target.log")"
  detach_logged
}

# A second run on each kept state. One that is ours needs no --overwrite.
resume_all() {
  local state disk options resumed=0 asked=0 from_journal=0
  for state in "$folder"/kept-*.img; do
    [ -e "$state" ] || continue
    mv "$state" "$LAB/state.img"
    if [[ $state = *unbootable* ]] && [ "$asked" -lt "$boots" ]; then
      ! uefi_boots "$LAB/state.img" 40 || no "firmware boots ${state##*/} (seed $seed)"
      asked=$((asked + 1))
    fi
    options=(--overwrite)
    [ "$(head -c 8 "$LAB/state.img")" != STMPMARK ] || options=()
    disk=$(attach_disk "$LAB/state.img")
    start_deploy 1 target new:1 "$LAB/token" "dev:$disk" "${options[@]/%/=$disk}"
    await "$STARTED" target || no "a second run on ${state##*/} (seed $seed): $(tail -n 1 "$LAB/target.log")"
    ! grep 'had made durable' "$LAB/target.log" || no "the journal of ${state##*/} (seed $seed) names what is not there"
    from_journal=$((from_journal + ($(jq .bytes.local "$LAB/target.receipt") > 0)))
    detach_disk "$disk" "$LAB/state.img"
    same_bytes "$LAB/state.img" "$1"
    resumed=$((resumed + 1))
  done
  remark "second runs complete: $resumed, $from_journal of them with what was there; firmware asked: $asked"
}

if ! have_stampede >/dev/null; then say "nothing is built"; else prepare; fi
RATE=250mbit run_case "power loss on a disk of the image's size" 400 power_loss same_size
run_case "power loss on a larger disk" 400 power_loss grown
run_case "power loss on a larger disk with a backup table in its middle" 400 power_loss larger
end_cases

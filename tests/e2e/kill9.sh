#!/usr/bin/env bash
# kill -9 at random moments of a deployment onto a disk that held a bootable image: after each the disk is untouched, or has
# no partition table that the kernel's reader, sgdisk or OVMF accepts, or is complete. A second run always completes.
# timeout: 420
. "$(dirname "$0")/../lab/lib.sh"
lab_begin
store=$LAB/store moments=${MOMENTS:-50} seed=${SEED:-$RANDOM} firmware_looks=${FIRMWARE_LOOKS:-4}

prepare() {
  old=$("$LAB_HERE/make-image" --variant bootable)/disk.img
  new=$("$LAB_HERE/make-image" --variant tiny)/disk.img
  import_image "$new" tiny:1 "$store"
  new_token "$store" "$LAB/token" --ttl 1h
  start depot "$STAMPEDE" serve --store "$store" --listen 127.0.0.1:0
  wait_for 20 "the depot to listen" grep -q ' on 127.0.0.1:' "$LAB/depot.log"
  port=$(sed -n 's/.* on 127\.0\.0\.1:\([0-9]*\)$/\1/p' "$LAB/depot.log")
  cp --sparse=always "$old" "$LAB/disk.img"
  disk=$(attach_disk "$LAB/disk.img")
  cmp "$LAB/disk.img" "$old"
}

reset_disk() { cp --sparse=always --no-target-directory "$old" "$LAB/disk.img.fresh" && cat "$LAB/disk.img.fresh" >"$disk" && blockdev --flushbufs "$disk"; }

deploy_in_background() {
  "$STAMPEDE" deploy tiny:1 --depot "127.0.0.1:$port" --token-file "$LAB/token" --state "$LAB/state" --disk "dev:$disk" \
    --overwrite "$disk" --progress none --serve-for 0s >"$LAB/deploy.log" 2>&1 &
  deployment=$!
}

# How long a whole deployment takes, so that the moments are spread over all of it.
measure() {
  local began=$EPOCHREALTIME
  deploy_in_background
  wait "$deployment" || no "the first deployment failed: $(tail -n 1 "$LAB/deploy.log")"
  cmp "$disk" "$new" || no "the first deployment is not the image"
  whole=$(awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { print int((b - a) * 1000) }')
  echo "a whole deployment takes $whole ms; seed $seed"
}

accepted_table() {
  local scan
  scan=$(gdisk -l "$disk" 2>/dev/null </dev/null | sed -n '/Partition table scan/,/^$/p')
  ! grep -Eq '(MBR|GPT|BSD|APM): not present' <<<"$scan" && { echo "gdisk says nothing"; return 0; }
  grep -E '(MBR|GPT): ' <<<"$scan" | grep -v 'not present' && return 0
  sgdisk --print "$disk" 2>/dev/null </dev/null | grep -E '^ +[0-9]+ ' && return 0
  partx --show --noheadings "$disk" 2>/dev/null | grep . && return 0
  return 1
}

# Sets `state` for the disk as it is now; fails the case for a state that must not be.
judge() {
  if cmp -s "$disk" "$old"; then
    state=untouched
  elif cmp -s "$disk" "$new"; then
    state=complete
  else
    state=no_table
    accepted_table && no "killed after $1 ms, the disk is neither image and has a table"
    if [ "${seen[no_table]:-0}" -lt "$firmware_looks" ] && (have_ovmf); then
      cp --sparse=always "$LAB/disk.img" "$LAB/look.img"
      uefi_boots "$LAB/look.img" 40 && no "killed after $1 ms, the firmware boots the disk"
    fi
  fi
  seen[$state]=$((${seen[$state]:-0} + 1))
}

every_moment_is_safe() {
  need stampede loop ovmf
  local i at
  declare -gA seen=()
  prepare
  measure
  reset_disk
  uefi_boots "$LAB/disk.img" 60 || no "the old image does not boot in the first place"
  RANDOM=$seed
  for ((i = 0; i < moments; i++)); do
    reset_disk
    at=$(((RANDOM * 32768 + RANDOM) % (whole + whole / 10)))
    deploy_in_background
    sleep "$(awk -v ms="$at" 'BEGIN { print ms / 1000 }')"
    kill -KILL "$deployment" 2>/dev/null || true
    wait "$deployment" 2>/dev/null || true
    judge "$at"
    echo "$at ms: $state"
    [ "$((i % 5))" -ne 0 ] || completes "$at"
  done
  echo "untouched ${seen[untouched]:-0}, no table ${seen[no_table]:-0}, complete ${seen[complete]:-0}" | tee "$LAB/summary"
  [ "${seen[no_table]:-0}" -gt 0 ] || no "no moment fell into the writing: nothing was tested"
}

completes() {
  deploy_in_background
  wait "$deployment" || no "after a kill at $1 ms the second run failed: $(tail -n 1 "$LAB/deploy.log")"
  cmp "$disk" "$new" || no "after a kill at $1 ms the second run is not the image"
}

run_case "kill -9 at $moments random moments" 400 every_moment_is_safe
[ ! -f "$LAB/summary" ] || say "#   $(cat "$LAB/summary")"
end_cases

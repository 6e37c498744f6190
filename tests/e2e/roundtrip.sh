#!/usr/bin/env bash
# What is imported comes out again, byte for byte; and what an import says is true.
# timeout: 300
. "$(dirname "$0")/../lab/lib.sh"
lab_begin
store=$LAB/store

round_trip() {
  need stampede
  "$STAMPEDE" image import "$2" "$1" --store "$store"
  "$STAMPEDE" image export "$1" --output "$LAB/out" --store "$store"
  same_bytes "$2" "$LAB/out"
  # Holes stay holes, give or take the cutter's blocks.
  [ "$(blocks_of "$LAB/out")" -le $(($(blocks_of "$2") + 2048)) ] || no "the export takes more room than the image"
  rm -f "$LAB/out" "$2"
}
blocks_of() { stat -c %b "$1"; }

ext4_image() { cp --sparse=always "$("$LAB_HERE/make-image" --variant tiny)/disk.img" "$LAB/in"; round_trip ext4:1 "$LAB/in"; }
zero_image() { truncate -s 64M "$LAB/in"; round_trip zeros:1 "$LAB/in"; }
written_zeros() { head -c 20000000 /dev/zero >"$LAB/in"; round_trip zeros:2 "$LAB/in"; }
empty_file() { : >"$LAB/in"; round_trip empty:1 "$LAB/in"; }
odd_size() { head -c "$1" /dev/urandom >"$LAB/in"; round_trip "odd:$1" "$LAB/in"; }
mixed() {
  # Data that begins and ends off every boundary, between holes.
  truncate -s 9000001 "$LAB/in"
  head -c 300001 /dev/urandom | dd of="$LAB/in" bs=1 seek=1234567 conv=notrunc status=none
  printf x | dd of="$LAB/in" bs=1 seek=9000000 conv=notrunc status=none
  round_trip mixed:1 "$LAB/in"
}

# An MBR with an active partition, as many BIOS images have.
mbr_image() {
  need stampede
  truncate -s 8M "$LAB/in"
  printf 'label: dos\nstart=2048, size=4096, type=83, bootable\nstart=8192, type=5\nstart=10240, type=82\n' | sfdisk -q "$LAB/in"
  head -c 1000000 /dev/urandom | dd of="$LAB/in" bs=1M seek=1 conv=notrunc status=none
  round_trip mbr:1 "$LAB/in"
  "$STAMPEDE" image show mbr:1 --store "$store" --json | jq -e '.table == "dos" and (.partitions | map(.flags)) == [1, 0, 0]'
}

# More partitions than a manifest or a tag record holds: refused before anything is stored, and the store goes on.
many_partitions() {
  need stampede
  local i
  truncate -s 64M "$LAB/many"
  { printf 'label: gpt\ntable-length: 160\n'; for ((i = 0; i < 130; i++)); do echo "start=$((2048 + i * 64)), size=64"; done; } |
    sfdisk -q "$LAB/many"
  expect_status 2 "$STAMPEDE" image import "$LAB/many" many:1 --store "$LAB/many-store"
  expect_said '130 partitions'
  [ -z "$(ls "$LAB/many-store/packs")" ] || no "something was stored"
  expect_status 0 "$STAMPEDE" image list --store "$LAB/many-store"
}

# The whole cannot be read in a test's time, so: three blocks where they were, and nothing else that takes room.
tebibyte() {
  need stampede
  have_command /usr/bin/time || no "no /usr/bin/time; run tools/setup"
  local at file=$LAB/tebibyte out=$LAB/tebibyte-out kib began seconds
  truncate -s 1T "$file" || skip "files of 1 TiB cannot be made in $LAB"
  for at in 0 123456789 268435455; do
    head -c 4096 /dev/urandom | dd of="$file" bs=4096 seek="$at" conv=notrunc status=none
  done
  began=$EPOCHREALTIME
  /usr/bin/time -f %M -o "$LAB/import.kib" "$STAMPEDE" image import "$file" tebibyte:1 --store "$store"
  /usr/bin/time -f %M -o "$LAB/export.kib" "$STAMPEDE" image export tebibyte:1 --output "$out" --store "$store"
  seconds=$(since "$began")
  remark "import and export: $seconds s; $(cat "$LAB/import.kib") and $(cat "$LAB/export.kib") KiB"
  [ "$(stat -c %s "$out")" -eq $((1 << 40)) ] || no "the export's size is wrong"
  for at in 0 123456789 268435455; do
    cmp <(dd if="$file" bs=4096 skip="$at" count=1 status=none) <(dd if="$out" bs=4096 skip="$at" count=1 status=none) ||
      no "block $at differs"
  done
  [ "$(blocks_of "$out")" -le 1024 ] || no "the export holds more than the three blocks"
  for kib in "$(cat "$LAB/import.kib")" "$(cat "$LAB/export.kib")"; do
    [ "$kib" -lt 262144 ] || no "took $kib KiB of memory, more than 256 MiB"
  done
  [ "${seconds%.*}" -lt 60 ] || no "took $seconds s"
}

tag_is_kept() {
  need stampede
  head -c 3000000 /dev/urandom >"$LAB/a"
  head -c 3000000 /dev/urandom >"$LAB/b"
  "$STAMPEDE" image import "$LAB/a" kept:1 --store "$store"
  expect_status 0 "$STAMPEDE" image import "$LAB/a" kept:1 --store "$store"
  expect_status 22 "$STAMPEDE" image import "$LAB/b" kept:1 --store "$store"
  expect_said 'kept:1'
  "$STAMPEDE" image export kept:1 --output "$LAB/kept" --store "$store"
  same_bytes "$LAB/a" "$LAB/kept"
}

shared_is_counted() {
  need stampede
  head -c 5000000 /dev/urandom >"$LAB/first"
  { head -c 4997120 "$LAB/first"; head -c 100000 /dev/urandom; } >"$LAB/second"
  "$STAMPEDE" image import "$LAB/first" share:1 --store "$store" --json | jq -e '.new == 5000000 and .shared == 0'
  "$STAMPEDE" image import "$LAB/second" share:2 --store "$store" --json | tee "$LAB/second.json"
  jq -e '.shared > 4000000 and .new + .shared + .zero == .disk' "$LAB/second.json" || no "shared data is not counted as shared"
}

export_is_careful() {
  need stampede
  echo precious >"$LAB/precious"
  expect_status 2 "$STAMPEDE" image export ext4:1 --output "$LAB/precious" --store "$store"
  [ "$(cat "$LAB/precious")" = precious ] || no "an existing file was overwritten"
  expect_status 60 "$STAMPEDE" image export nosuch:1 --output "$LAB/none" --store "$store"
  [ ! -e "$LAB/none" ] || no "a file was made for an image that is not there"
}

# Killed or interrupted, an export leaves no file of the image's name.
export_is_interrupted() {
  need stampede
  head -c 300000000 /dev/urandom >"$LAB/large"
  "$STAMPEDE" image import "$LAB/large" large:1 --store "$store"
  local signal
  for signal in TERM KILL; do
    start "export-$signal" "$STAMPEDE" image export large:1 --output "$LAB/large.out" --store "$store"
    wait_for 10 "the export" eval 'ls "$LAB"/large.out.*.part'
    kill "-$signal" "$STARTED"
    await "$STARTED" "export-$signal" "$([ $signal = TERM ] && echo 45 || echo 137)" || no "the export was not ended by $signal"
    [ ! -e "$LAB/large.out" ] || no "an interrupted export leaves a file"
    [ $signal = KILL ] || [ -z "$(ls "$LAB"/large.out.*.part)" ] || no "an interrupted export leaves its work"
  done
  rm -f "$LAB"/large*
}

import_is_interrupted() {
  need stampede
  head -c 450000000 /dev/urandom >"$LAB/large"  # less than a pack holds
  start import "$STAMPEDE" image import "$LAB/large" large:2 --store "$LAB/large-store"
  wait_for 10 "the import" eval 'ls "$LAB"/large-store/packs/*.open'
  kill -TERM "$STARTED"
  await "$STARTED" import 45 || no "the import was not interrupted"
  [ -z "$(ls "$LAB/large-store/packs")" ] || no "an interrupted import leaves its work"
  rm -rf "$LAB"/large*
}

output_is_checked() {
  need stampede
  expect_status 53 bash -c '"$1" token create --store "$2" >/dev/full' token "$STAMPEDE" "$store"
  expect_said 'standard output'
}

whole_store_is_sound() {
  need stampede
  "$STAMPEDE" store check --store "$store" --json | tee "$LAB/check.json"
  jq -e '.problems == [] and .images >= 10' "$LAB/check.json"
  "$STAMPEDE" image list --store "$store" --json | jq -e 'map(.name) | length >= 10'
  [ "$(stat -c %a "$store/keys")" = 700 ] || no "keys/ can be read by others"
  [ -z "$(find "$store/keys" -name '*.key' ! -perm 600)" ] || no "a key can be read by others"
}

run_case "ext4 image" 60 ext4_image
run_case "all zeros, sparse" 60 zero_image
run_case "all zeros, written" 60 written_zeros
run_case "empty file" 60 empty_file
for size in 1 511 512 4095 4097 1000001 8388608; do run_case "$size random bytes" 60 odd_size "$size"; done
run_case "data off every boundary between holes" 60 mixed
run_case "an MBR with an active partition" 60 mbr_image
run_case "more partitions than can be described" 60 many_partitions
run_case "1 TiB sparse file with three blocks, in memory and time" 120 tebibyte
run_case "a taken tag keeps its image" 60 tag_is_kept
run_case "shared data is counted" 60 shared_is_counted
run_case "export overwrites nothing" 60 export_is_careful
run_case "an ended export leaves nothing of that name" 60 export_is_interrupted
run_case "an ended import leaves nothing" 60 import_is_interrupted
run_case "output that cannot be written is an error" 30 output_is_checked
run_case "the whole store is sound" 120 whole_store_is_sound
end_cases

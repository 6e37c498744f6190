#!/usr/bin/env bash
# Power loss at any write to a store: every flush boundary, and for each epoch between two flushes random subsets of its writes,
# in random order and torn (tests/powerloss). In each state the file system replays its journal, and then, without a hand: the
# store opens, its check is clean, every image that was acknowledged comes out byte for byte, none that was removed is there,
# and a new image can be imported. Two planted faults show that it can fail.
#
#   STATES=22 SHARE=100 tests/e2e/store-powerloss.sh     random states of each epoch (1), of all of which so many percent are
#                                                        judged (40); SEED: which
# timeout: 1500
# lane: store
. "$(dirname "$0")/../lab/lib.sh"
. "$LAB_HERE/store_work.sh"
lab_begin
states=${STATES:-1}
share=${SHARE:-40}
seed=${SEED:-$(($(date +%s) % 32768))}
store_states=$LAB_ROOT/build/tests/powerloss/store_states
no_flush=$LAB_ROOT/build/tests/powerloss/no_flush.so
images=$LAB/images
mounted=$LAB/mounted
store=$mounted/store
# A file system of 60 MiB, and marks behind it.
disk_size=$((64 << 20)) fs_blocks=15360 marks=$(((64 << 20) - 4096))

have_store_states() { [ -x "$store_states" ] && [ -f "$no_flush" ] || { echo "no $store_states; run tools/build"; return 1; }; }

prepare() {
  make_images "$images"
  [ "$(df --output=avail -m /dev/shm | tail -n 1)" -lt 2048 ] || folder=$(mktemp -d /dev/shm/stampede-states.XXXXXX)
  folder=${folder:-$LAB/states}
  mkdir -p "$folder/states"
  [ -n "${LAB_KEEP:-}" ] || later rm -rf "$folder"
  later unmount "$folder/states/mounted"  # of a judge that was killed
  truncate -s "$disk_size" "$folder/old.img"
  mkfs.ext4 -q -b 4096 -J size=4 -E lazy_itable_init=0,nodiscard "$folder/old.img" "$fs_blocks"
}

# In the log itself, so that it stands between the writes where it belongs.
mark() { printf '%-511s\n' "STMPMARK $*" | dd of="$LOGGED_FILE" bs=512 seek=$((marks / 512)) oflag=direct conv=notrunc status=none; }
begun() { mark allow "$@"; }
acknowledged() { mark settled "$@"; }

# on_logged COMMAND…: with the store's file system on a disk whose writes are logged in $folder/log.
on_logged() {
  cp --sparse=always "$folder/old.img" "$folder/disk.img"
  attach_logged "$folder/disk.img" "$folder/log"
  mkdir -p "$mounted"
  mount -t ext4 "$LOGGED_DISK" "$mounted"
  later unmount "$mounted"
  "$@"
  unmount "$mounted"
  detach_logged
}
unmount() { ! mountpoint -q "$1" || umount "$1"; }

judge() {
  rm -rf "$folder/states"
  mkdir "$folder/states"
  "$store_states" --log "$folder/log" --old "$folder/old.img" --images "$images" --marks "$marks" --folder "$folder/states" \
    --states "$states" --share "$share" --seed "$seed" >"$LAB/judged" 2>"$LAB/wrong"
}

all_work() {
  operation a:1 a.img import_file a.img a:1
  at_once
  operation d:1 a.img import_file a.img d:1
  if has_subcommand image tag; then
    operation stable:1 a.img "$STAMPEDE" image tag a:1 stable:1 --store "$store"
    operation stable:1 b.img "$STAMPEDE" image tag b:1 stable:1 --move --store "$store"
  fi
  if has_subcommand image rm; then operation c:1 none "$STAMPEDE" image rm c:1 --history --store "$store"; fi
  if has_subcommand store gc; then collect_beside_an_import; fi
}
collect_beside_an_import() {
  local one status=0
  "$STAMPEDE" store gc --grace 0s --store "$store" &
  one=$!
  operation e:1 c.img import_file c.img e:1 || status=$?
  wait "$one" || status=$?
  [ "$status" -eq 0 ] && "$STAMPEDE" store gc --grace 0s --store "$store"
}

survives() {
  need stampede logged_disk store_states
  local began=$EPOCHREALTIME
  on_logged all_work
  judge || no "$(tail -n 1 "$LAB/wrong")"
  remark "$(tail -n 1 "$LAB/judged"); $(since "$began") s; seed $seed"
}

# faulty WHAT SIGNS: without the flushes of WHAT the same must not pass, and what is found be one of the SIGNS.
faulty() {
  need stampede logged_disk store_states
  on_logged without_flushes "$1"
  share=100
  ! judge || no "the rig finds nothing wrong where $1 are not flushed (seed $seed)"
  grep -Eq -- "$2" "$LAB/wrong" || no "found is something else: $(tail -n 1 "$LAB/wrong")"
  remark "found: $(tail -n 1 "$LAB/wrong")"
}
without_flushes() {
  export LD_PRELOAD=$no_flush STAMPEDE_NO_FLUSH=$1
  operation a:1 a.img import_file a.img a:1
  operation b:1 b.img import_file b.img b:1
  unset LD_PRELOAD
  sync -f "$mounted"
}

if have_store_states >/dev/null; then prepare; fi
run_case "power loss while a store is filled" 1200 survives
run_case "power loss where packs are not flushed is found" 60 faulty packs "pack|chunk"
run_case "power loss where the catalog is not flushed is found" 60 faulty catalog "is none instead|catalog"
end_cases

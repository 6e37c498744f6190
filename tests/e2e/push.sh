#!/usr/bin/env bash
# Images between depots: pushed and pulled byte for byte, with either side killed in the middle; captured from a disk; and
# stores that are repaired from one another.
# timeout: 300
# lane: store
. "$(dirname "$0")/../lab/lib.sh"
lab_begin

# serve NAME STORE [ADDRESS]: on loopback; its process id is in $STARTED, its address in $AT.
serve() {
  start "$1" "$STAMPEDE" serve --store "$2" --listen "${3:-127.0.0.1:0}" --multicast off
  wait_for 20 "the depot $1" eval 'AT=$(sed -n "s/.* serves .* on \(127.0.0.1:[0-9]*\)$/\1/p" "$LAB/'"$1"'.log" | tail -n 1); [ -n "$AT" ]'
  AT=$(sed -n 's/.* serves .* on \(127.0.0.1:[0-9]*\)$/\1/p' "$LAB/$1.log" | tail -n 1)
}
# accepts STORE OTHER: the images that OTHER's key signs. Tokens that are made later name it too.
accepts() {
  "$STAMPEDE" image list --store "$1" >/dev/null
  (umask 077 && cat "$2/keys/signers" >>"$1/keys/signers")
}
push() { "$STAMPEDE" image push "$1" --store "$2" --depot "$AT" --state "$LAB/machine" --token-file "$LAB/push.token" --json; }
pull() { "$STAMPEDE" image pull "$1" --store "$2" --depot "$AT" --state "$LAB/machine" --token-file "$LAB/push.token" --json; }
is_sound() { "$STAMPEDE" store check --store "$1" || no "$1 is not sound"; }
# has_image STORE NAME FILE
has_image() {
  rm -f "$LAB/out"
  "$STAMPEDE" image export "$2" --output "$LAB/out" --store "$1"
  same_bytes "$3" "$LAB/out"
}
# open_bytes STORE: what is in packs that are being written.
open_bytes() { cat "$1"/packs/*.open 2>/dev/null | wc -c; }
packs_more_than() { [ "$(open_bytes "$1")" -gt "$2" ]; }
# A depot with a push token, and a machine whose store has big:1.
two_stores() {
  need stampede
  own=$LAB/own depot=$LAB/depot
  head -c "$1" /dev/urandom >"$LAB/big.img"
  "$STAMPEDE" image import "$LAB/big.img" big:1 --store "$own" --json >/dev/null
  accepts "$depot" "$own"
  new_token "$depot" "$LAB/push.token" --push --uses 10
}

push_and_pull() {
  two_stores 30000000
  serve depot "$depot"
  push big:1 "$own" | jq -e '.sent >= 30000000 and .sent < 31000000'
  has_image "$depot" big:1 "$LAB/big.img"
  push big:1 "$own" | jq -e '.sent == 0'
  pull big:1 "$LAB/third" | jq -e '.tagged and .lacking == .data and .new_signer != ""'
  has_image "$LAB/third" big:1 "$LAB/big.img"
  cmp "$own/keys/signers" <(head -n 1 "$LAB/third/keys/signers") || no "the original signer is not accepted"
  pull big:1 "$LAB/third" | jq -e '(.tagged | not) and .fetched == 0'
  is_sound "$depot"
  is_sound "$LAB/third"
}

refused() {
  two_stores 3000000
  serve depot "$depot"
  new_token "$depot" "$LAB/plain.token"
  expect_status 37 "$STAMPEDE" image push big:1 --store "$own" --depot "$AT" --state "$LAB/guest" --token-file "$LAB/plain.token"
  expect_said 'token create --push'
  head -c 3000000 /dev/urandom >"$LAB/other.img"
  "$STAMPEDE" image import "$LAB/other.img" big:1 --store "$depot" --json
  new_token "$depot" "$LAB/push.token" --push  # which names the depot's own signer too
  expect_status 22 push big:1 "$own"
  expect_status 22 pull big:1 "$own"
  has_image "$depot" big:1 "$LAB/other.img"
  is_sound "$depot"
}

no_room() {
  have_root || skip "not root"
  two_stores 30000000
  mkdir "$LAB/small"
  mount -t tmpfs -o size=80M none "$LAB/small" || skip "no tmpfs can be mounted"
  later umount -l "$LAB/small"
  accepts "$LAB/small/store" "$own"
  new_token "$LAB/small/store" "$LAB/push.token" --push
  serve small "$LAB/small/store"
  expect_status 53 push big:1 "$own"
  expect_said 'the depot says: .* left'
  expect_status 0 "$STAMPEDE" image list --store "$LAB/small/store"
  expect_status 0 "$STAMPEDE" store check --store "$LAB/small/store"
}

killed() {
  two_stores 300000000
  serve depot "$depot"
  local server=$STARTED
  # The machine that pushes: what the depot got by then it is not sent again.
  start pusher "$STAMPEDE" image push big:1 --store "$own" --depot "$AT" --state "$LAB/machine" --token-file "$LAB/push.token"
  wait_for 20 "half of the push" packs_more_than "$depot" 60000000
  kill -KILL "$STARTED"
  await "$STARTED" pusher 137
  expect_status 60 "$STAMPEDE" image show big:1 --store "$depot"
  # The depot, while it goes on: the push waits for it.
  start pusher "$STAMPEDE" image push big:1 --store "$own" --depot "$AT" --state "$LAB/machine" --json
  local pushing=$STARTED
  wait_for 20 "more of the push" packs_more_than "$depot" 60000000
  kill -KILL "$server"
  wait "$server" 2>/dev/null || true
  serve again "$depot" "$AT"
  await "$pushing" pusher || no "the push did not go on: $(tail -n 1 "$LAB/pusher.log")"
  jq -e '.sent < 260000000' "$LAB/pusher.out" || no "all of it was sent again"
  has_image "$depot" big:1 "$LAB/big.img"
  is_sound "$depot"
  # One that pulls.
  start puller "$STAMPEDE" image pull big:1 --store "$LAB/third" --depot "$AT" --state "$LAB/machine"
  wait_for 20 "half of the pull" packs_more_than "$LAB/third" 60000000
  kill -KILL "$STARTED"
  await "$STARTED" puller 137
  "$STAMPEDE" image pull big:1 --store "$LAB/third" --depot "$AT" --state "$LAB/machine" --json | jq -e '.lacking < 260000000'
  has_image "$LAB/third" big:1 "$LAB/big.img"
}

# Flipped bits in a pack, then one that is gone.
repair() {
  two_stores 30000000
  serve depot "$depot"
  push big:1 "$own" >/dev/null
  local pack i
  pack=$(echo "$own"/packs/*.pack)
  for i in 5000 12345678 29000000; do
    printf 'x' | dd of="$pack" bs=1 seek="$i" conv=notrunc status=none
  done
  expect_status 61 "$STAMPEDE" store check --store "$own"
  expect_status 61 "$STAMPEDE" store repair --dry-run --store "$own"
  expect_status 61 "$STAMPEDE" store repair --store "$own"
  expect_said 'name a depot'
  mend | jq -e '.sound and .fetched > 0 and .fetched <= 3'
  is_sound "$own"
  has_image "$own" big:1 "$LAB/big.img"
  [ -n "$(ls "$own/damaged")" ] || no "the damaged pack is gone"
  rm "$own"/packs/*.pack
  mend | jq -e '.sound and .fetched > 100'
  is_sound "$own"
  has_image "$own" big:1 "$LAB/big.img"
}
mend() { "$STAMPEDE" store repair --store "$own" --depot "$AT" --state "$LAB/machine" --token-file "$LAB/push.token" --json; }

# A golden machine's disk: no store there, and nothing is read before the depot has agreed.
capture() {
  need stampede loop
  local dev
  depot=$LAB/depot
  new_token "$depot" "$LAB/push.token" --push
  serve depot "$depot"
  truncate -s 64M "$LAB/golden.img"
  mkfs.ext4 -q "$LAB/golden.img"
  dev=$(attach_disk "$LAB/golden.img")
  mkdir "$LAB/mnt"
  mount "$dev" "$LAB/mnt"
  later sh -c 'mountpoint -q "$1" && umount "$1" || true' umount "$LAB/mnt"
  head -c 20000000 /dev/urandom >"$LAB/mnt/data"
  expect_status 14 capture_disk "$dev" golden:1
  umount "$LAB/mnt"
  capture_disk "$dev" golden:1 | jq -e '.sent > 20000000'
  sync "$dev"
  has_image "$depot" golden:1 "$LAB/golden.img"
  capture_disk "$dev" golden:2 | jq -e '.sent == 0'
  expect_status 22 capture_disk "$dev" golden:1
  "$STAMPEDE" image show golden:1 --store "$depot" --json | jq -e '.source | contains("captured from node")'
  is_sound "$depot"
}
capture_disk() { "$STAMPEDE" image push --from-disk "dev:$1" "$2" --all-blocks --depot "$AT" --state "$LAB/machine" --token-file "$LAB/push.token" --json; }

run_case "a push and a pull, byte for byte" 60 push_and_pull
rm -rf "$LAB"/{own,depot,third,machine}
run_case "who may not push, and a taken name" 60 refused
rm -rf "$LAB"/{own,depot,third,machine,guest}
run_case "a depot without room" 60 no_room
rm -rf "$LAB"/{own,depot,third,machine}
run_case "either side killed in the middle" 120 killed
rm -rf "$LAB"/{own,depot,third,machine}
run_case "a store is repaired from another depot" 60 repair
rm -rf "$LAB"/{own,depot,third,machine}
run_case "a disk is captured straight into a depot" 60 capture
end_cases

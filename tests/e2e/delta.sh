#!/usr/bin/env bash
# A disk that holds something of the image already: what is in its place is kept, what is elsewhere is moved, the rest comes
# by the network.
# timeout: 300
. "$(dirname "$0")/../lab/lib.sh"
lab_begin
store=$LAB/store

# The new image is the old one with 40 blocks changed, and 12 MiB that stand a MiB further on.
prepare() {
  local at first
  old=$("$LAB_HERE/make-image" --variant tiny)/disk.img
  new=$LAB/new.img
  cp --sparse=always "$old" "$new"
  read -ra at < <(partition_of "$new" "$ROOT_TYPE")
  first=$(debugfs -R "bmap /srv/random 0" "$new?offset=${at[1]}" 2>/dev/null)
  random_at=$((at[1] / 4096 + first))  # block of the disk with which 32 MiB of random bytes begin
  dd if="$old" of="$new" bs=4096 skip=$random_at seek=$((random_at + 256)) count=3072 conv=notrunc status=none
  change_blocks "$new" 40
  whole=$(import_image "$old" tiny:1 "$store" | jq -e .new_sealed)
  fresh=$(import_image "$new" tiny:2 "$store" | jq -e .new_sealed)
  total=$("$STAMPEDE" image show tiny:2 --store "$store" --json | jq -e .data_size)
  make_network 3 1gbit
  start_depot "$store"
  new_token "$store" "$LAB/token" --uses 9
}

# change_blocks FILE N: so many blocks in the second half of the random bytes, each in a chunk of its own or nearly.
change_blocks() {
  local i
  for ((i = 0; i < $2; i++)); do
    head -c 4096 /dev/urandom | dd of="$1" bs=4096 seek=$((random_at + 4096 + i * 97)) conv=notrunc status=none
  done
}

# onto FILE-TO-COPY I: a disk with its content, $disk.
onto() {
  [ -z "${disk:-}" ] || detach_disk "$disk" "$LAB/disk-$2.img"
  cp --sparse=always "$1" "$LAB/disk-$2.img"
  disk=$(attach_disk "$LAB/disk-$2.img")
}

# deployed I NAME:TAG IMAGE [option…]: onto $disk, well; the receipt is in $receipt. $same (same_bytes) says what is well.
deployed() {
  local i=$1 name=$2 image=$3
  shift 3
  start_deploy "$i" "node-$i" "$name" "$LAB/token" "dev:$disk" --overwrite "$disk" "$@"
  await "$STARTED" "node-$i" || no "$(tail -n 1 "$LAB/node-$i.log")"
  "${same:-same_bytes}" "$LAB/disk-$i.img" "$image" || no "the disk is not the image"
  receipt=$LAB/node-$i.receipt
}
fetched() { jq '.bytes | .depot + .peers + .multicast' "$receipt"; }
# says FILTER: of the receipt's bytes.
says() { jq -e ".bytes | $1" "$receipt" >/dev/null || no "not '$1': $(jq -c .bytes "$receipt")"; }
figures() { remark "$1: $(jq -r --argjson fresh "$fresh" '.bytes | "of \(.total): \(.local) kept, \(.moved) moved, \(.depot + .peers + .multicast) fetched (new: \($fresh) sealed)"' "$receipt")"; }

onto_an_older_image() {
  need stampede loop namespaces
  onto "$old" 1
  deployed 1 tiny:2 "$new"
  figures "older image"
  [ "$(fetched)" -le $((fresh * 13 / 10)) ] || no "fetched $(fetched) bytes, and $fresh are new"
  says '.local > .total / 2 and .moved > 5000000 and .read >= .total'
  says '.local + .moved < .total and .verified == .total and .durable == .total'
}

# Its receipt says what is on the disk: most of what moves is not looked for, and what the machine has written since is.
onto_a_disk_with_a_receipt() {
  need stampede loop namespaces
  local upgraded=$LAB/upgraded.img written
  onto "$new" 1
  deployed 1 tiny:1 "$old" --delta never
  deployed 1 tiny:2 "$new"
  figures "by the receipt of the older image"
  [ "$(fetched)" -le $((fresh * 13 / 10)) ] || no "fetched $(fetched) bytes, and $fresh are new"
  says '.local > .total / 2 and .moved > 5000000 and .read < .total * 9 / 10'
  says '.local + .moved < .total and .verified == .total and .durable == .total'

  deployed 1 tiny:1 "$old" --delta never
  head -c 6M /dev/urandom >"$LAB/written"
  write_files "$LAB/written"
  cp --sparse=always "$LAB/disk-1.img" "$upgraded"
  written=$(import_image "$upgraded" tiny:3 "$store" | jq -e .new_sealed)
  [ "$written" -gt 6000000 ] || no "the store had what was written: $written bytes are new"
  # Elsewhere than the new image has it: a MiB of another file comes before it there.
  same=same_but_free deployed 1 tiny:1 "$old" --delta never
  head -c 1M /dev/urandom >"$LAB/before"
  write_files "$LAB/before" "$LAB/written"
  same=same_but_free deployed 1 tiny:3 "$upgraded"
  remark "what was written since: $(jq -c '.bytes | {read, local, moved, fetched: (.depot + .peers + .multicast)}' "$receipt")"
  [ "$(fetched)" -lt $((written / 3)) ] || no "fetched $(fetched) bytes, and all $written are on the disk"
}

# write_files FILE…: into the root file system of $disk, as its machine would.
write_files() {
  local mark
  mark=$(undo_mark)
  partx --add "$disk"
  later partx --delete "$disk"
  mkdir -p "$LAB/mounted"
  mount "${disk}p2" "$LAB/mounted"
  later umount "$LAB/mounted"
  cp "$@" "$LAB/mounted/srv/"
  undo_to "$mark"
}

onto_a_damaged_disk() {
  need stampede loop namespaces
  onto "$new" 1
  change_blocks "$LAB/disk-1.img" 7
  deployed 1 tiny:2 "$new" --delta always
  figures "damaged disk"
  says '.depot + .peers + .multicast < 3000000 and .local > .total * 9 / 10'
}

never_and_where_it_is_not_worth_it() {
  need stampede loop namespaces
  onto "$new" 1
  deployed 1 tiny:2 "$new" --delta never
  says '.local == 0 and .moved == 0 and .read == 0'
  head -c 256M /dev/urandom >"$LAB/other.img"
  onto "$LAB/other.img" 1
  same=same_but_free deployed 1 tiny:2 "$new"
  says '.local == 0 and .read == 0'
}

an_image_too_large_for_the_memory() {
  need stampede loop namespaces
  onto "$old" 1
  start_deploy 1 node-1 tiny:2 "$LAB/token" "dev:$disk" --overwrite "$disk" --memory 32M
  await "$STARTED" node-1 44 || no "$(tail -n 1 "$LAB/node-1.log")"
  same_bytes "$LAB/disk-1.img" "$old"
}

# several WAY [option…]: three at once onto the old image.
several() {
  local i image=$new disks=()
  pids=()
  before=$(sent_by depot)
  for i in 1 2 3; do
    onto "$old" "$i"
    disks[i]=$disk
  done
  for i in 1 2 3; do
    start_deploy "$i" "node-$i" tiny:2 "$LAB/token" "dev:${disks[i]}" --overwrite "${disks[i]}" --transfer "$@"
    pids[i]=$STARTED
  done
  complete 1 2 3
  remark "the depot sent $(($(sent_by depot) - before)) bytes for $fresh that are new"
}

# What one lacks the others lack too, and most of it leaves the depot once.
several_at_once() {
  need stampede loop namespaces
  local i
  several swarm
  for i in 1 2 3; do
    receipt=$LAB/node-$i.receipt
    figures "node $i of three"
    [ "$(fetched)" -le $((fresh * 13 / 10)) ] || no "node $i fetched $(fetched) bytes, and $fresh are new"
  done
}

# One stream brings all of them what is new, and no more; but for what one that was there before the others had fetched while
# it moved chunks: on a slow line little.
several_by_multicast() {
  need stampede loop namespaces
  local i streamed=0
  end_process "$DEPOT"
  shape depot e0 20mbit
  start_depot "$store" --multicast-rate 18M --min-receivers 3 --wait 20s
  several auto
  shape depot e0
  for i in 1 2 3; do
    receipt=$LAB/node-$i.receipt
    figures "node $i of three"
    says ".depot + .peers + .multicast < $fresh * 12 / 10"
    ! jq -e ".bytes | .multicast > (.depot + .peers + .multicast) * 9 / 10" "$receipt" >/dev/null || streamed=$((streamed + 1))
  done
  [ "$streamed" -ge 2 ] || no "the stream brought only $streamed of three what they lack"
}

# The stream was begun for one that lacks little; empty machines that come amid it lack more of what it brings.
empty_ones_join() {
  need stampede loop namespaces
  local i image=$new
  pids=()
  end_process "$DEPOT"
  start_depot "$store" --multicast-rate 50M
  for i in 1 2 3; do
    if [ "$i" != 1 ]; then
      wait_for 20 "the stream" grep -q 'multicast stream .* starts' "$LAB/depot.log"
      blank_disk "$LAB/blank.img" "$(stat -c %s "$new")"
      onto "$LAB/blank.img" "$i"
    else
      onto "$old" "$i"
    fi
    start_deploy "$i" "node-$i" tiny:2 "$LAB/token" "dev:$disk" --overwrite "$disk"
    pids[i]=$STARTED
  done
  complete 1 2 3
  for i in 1 2 3; do remark "node $i: $(jq -c '.bytes | {depot, peers, multicast}' "$LAB/node-$i.receipt")"; done
  for i in 2 3; do
    receipt=$LAB/node-$i.receipt
    says ".local == 0 and .depot + .peers + .multicast < $whole * 11 / 10"
  done
}

# What the stream before left out is in the one for those who come when it is over.
empty_ones_come_later() {
  need stampede loop namespaces
  local i image=$new
  pids=()
  end_process "$DEPOT"
  start_depot "$store" --min-receivers 2 --wait 3s
  onto "$old" 1
  start_deploy 1 node-1 tiny:2 "$LAB/token" "dev:$disk" --overwrite "$disk" --serve-for 10s
  pids[1]=$STARTED
  wait_for 20 "the first stream's end" grep -q 'multicast stream .* is over' "$LAB/depot.log"
  for i in 2 3; do
    blank_disk "$LAB/blank.img" "$(stat -c %s "$new")"
    onto "$LAB/blank.img" "$i"
    start_deploy "$i" "node-$i" tiny:2 "$LAB/token" "dev:$disk" --overwrite "$disk"
    pids[i]=$STARTED
  done
  complete 2 3
  await "${pids[1]}" node-1 || no "node 1 did not complete"
  for i in 2 3; do
    receipt=$LAB/node-$i.receipt
    remark "node $i: $(jq -c '.bytes | {depot, peers, multicast}' "$receipt")"
    says ".multicast > $whole * 8 / 10 and .depot + .peers + .multicast < $whole * 11 / 10"
  done
}

killed_in_the_middle() {
  need stampede loop namespaces
  local i
  for i in 1 2 3 4; do
    onto "$old" 1
    shape depot e0 "$1"
    start_deploy 1 node-1 tiny:2 "$LAB/token" "dev:$disk" --overwrite "$disk"
    wait_for 20 "the disk to be marked" in_the_middle
    sleep "0.$((i * 2 - 2))"
    kill -KILL "$STARTED" 2>/dev/null || true
    wait "$STARTED" 2>/dev/null || true
    shape depot e0
    deployed 1 tiny:2 "$new"
    says '.local > .total / 4'
  done
}
in_the_middle() { [ "$(head -c 8 "$LAB/disk-1.img")" = STMPMARK ]; }

# drift_of I STATUS [option…]: of $disk, with the state of node I; JSON in $LAB/drift.
drift_of() {
  local node=$1 status=$2 got=0
  shift 2
  in_node "$node" "$STAMPEDE" drift --disk "dev:$disk" --depot "$(depot_address)" --state "$LAB/node-$node.state" --json "$@" \
    >"$LAB/drift" 2>"$LAB/drift.log" || got=$?
  [ "$got" = "$status" ] || no "drift: status $got instead of $status: $(tail -n 1 "$LAB/drift.log") $(head -c 600 "$LAB/drift")"
}
# finds FILTER: of what drift said last.
finds() { jq -e "$1" "$LAB/drift" >/dev/null || no "not '$1': $(head -c 800 "$LAB/drift")"; }

# fresh_machine: tiny:2 with a hostname, on $disk.
fresh_machine() {
  blank_disk "$LAB/blank.img" 300M
  onto "$LAB/blank.img" 1
  start_deploy 1 node-1 tiny:2 "$LAB/token" "dev:$disk" --hostname node-1 --role web
  await "$STARTED" node-1 || no "$(tail -n 1 "$LAB/node-1.log")"
}

# flip_bit BYTE: of $disk's file.
flip_bit() {
  local byte
  byte=$(od -An -tu1 -j "$1" -N 1 "$LAB/disk-1.img")
  printf "\\x$(printf %02x $((byte ^ 8)))" | dd of="$LAB/disk-1.img" bs=1 seek="$1" conv=notrunc status=none
}

no_drift_on_a_fresh_machine() {
  need stampede loop namespaces
  fresh_machine
  jq -e '.altered | length > 5' "$LAB/node-1.receipt" >/dev/null || no "the receipt does not tell of first boot's blocks"
  drift_of 1 0 --strict
  finds '.drifted == false and .differs == 0 and .entries == [] and .read > 100000000 and .delivered'
}

# What was made to fit the disk is known, on a disk that is larger than the image.
no_drift_on_a_fitted_machine() {
  need stampede loop namespaces
  local block
  blank_disk "$LAB/blank.img" 2G
  onto "$LAB/blank.img" 1
  start_deploy 1 node-1 tiny:2 "$LAB/token" "dev:$disk" --hostname node-1 --role web "$@"
  await "$STARTED" node-1 || no "$(tail -n 1 "$LAB/node-1.log")"
  drift_of 1 0 --strict
  finds '.drifted == false and .differs == 0'
  remark "$*: $(jq '.altered | length' "$LAB/node-1.receipt") blocks edited"
  flip_bit $(((random_at + 100) * 4096 + 5))
  sync "$LAB/disk-1.img"
  drift_of 1 3 --strict
  finds '.differs == 4096 and (.entries | map(select(.counts)) == [{"partition": 2, "kind": "file", "what": "/srv/random", "bytes": 4096, "counts": true}])'
}

# free_blocks: of the new image's root and ESP, as numbers of 4 KiB on the disk.
free_blocks() {
  local at
  read -ra at < <(partition_of "$new" "$ROOT_TYPE")
  dumpe2fs "$new?offset=${at[1]}" 2>/dev/null | sed -n 's/^  Free blocks: \([0-9]\)/\1/p' | tr -s ', ' '\n\n' |
    awk -F- -v first=$((at[1] / 4096)) 'NF { for (i = $1; i <= (NF > 1 ? $2 : $1); i++) print first + i }'
  free_in_esp "$new" | awk '{ for (i = int(($1 + 4095) / 4096); i < int($2 / 4096); i++) print i }'
}

# Anywhere on the disk but in the partition table, by which it is known, and in free space: data, zeros, what first boot wrote.
each_flipped_bit() {
  need stampede loop namespaces
  local i block
  fresh_machine
  RANDOM=7
  free_blocks >"$LAB/free"
  for ((i = 0; i < 100; i++)); do
    block=$((512 + i * 640 + RANDOM % 640))
    if grep -qx "$block" "$LAB/free"; then continue; fi
    flip_bit $((block * 4096 + RANDOM % 4096))
    echo $block
  done | sort -n | uniq >"$LAB/flipped"
  for block in $(jq '.altered[][0]' "$LAB/node-1.receipt" | head -n 4); do
    grep -qx "$block" "$LAB/flipped" || { flip_bit $((block * 4096 + 77)) && echo "$block" >>"$LAB/flipped"; }
  done
  sync "$LAB/disk-1.img"
  drift_of 1 3 --strict
  finds "([.entries[].bytes] | add) == $(($(wc -l <"$LAB/flipped") * 4096))"
  remark "$(wc -l <"$LAB/flipped") blocks with a flipped bit, $(jq -c '[.entries[] | "\(.what) \(.bytes / 4096)"]' "$LAB/drift")"
  start_deploy 1 node-1 tiny:2 "$LAB/token" "dev:$disk" --overwrite "$disk" --delta always
  await "$STARTED" node-1 || no "$(tail -n 1 "$LAB/node-1.log")"
  receipt=$LAB/node-1.receipt
  says '.depot + .peers + .multicast < .total / 3'
  drift_of 1 0 --strict
}

drift_by_file() {
  need stampede loop namespaces
  fresh_machine
  flip_bit $(((random_at + 100) * 4096 + 5))
  flip_bit $(((random_at + 5000) * 4096 + 5))
  sync "$LAB/disk-1.img"
  drift_of 1 3
  finds '.drifted and .differs == 8192 and (.entries | length) == 1 and .partitions == [{"number": 2, "differs": 8192, "ignored": 0}]'
  finds '.entries[0] == {"partition": 2, "kind": "file", "what": "/srv/random", "bytes": 8192, "counts": true}'
  drift_of 1 0 --ignore '/srv/ran*'
  finds '.entries[0].kind == "ignored"'
  drift_of 1 3 --image tiny:1
  expect_status 60 in_node 1 "$STAMPEDE" drift --disk "dev:$disk" --depot "$(depot_address)" --state "$LAB/node-1.state" --image no:1
  "$STAMPEDE" receipt list --store "$store" --json >"$LAB/receipts"
  jq -e '[.[-3:][].verdict] == ["drifted", "clean", "drifted"]' "$LAB/receipts" || no "the depot does not keep the results"
}

# As it runs: a log grows, a file is changed, one is new.
drift_of_a_mounted_disk() {
  need stampede loop namespaces
  fresh_machine
  partx --add "$disk"
  later partx --delete "$disk"
  mkdir -p "$LAB/mounted"
  mount "${disk}p2" "$LAB/mounted"
  later umount "$LAB/mounted"
  mkdir -p "$LAB/mounted/var/log"
  head -c 100000 /dev/urandom >"$LAB/mounted/var/log/messages"
  sync -f "$LAB/mounted"
  drift_of 1 3
  finds '.approximate and ([.entries[] | select(.counts) | .what] | all(. == "/var/"))'
  finds '[.entries[] | select(.kind == "ignored") | .what] | index("/var/log/messages") != null'
  echo other >"$LAB/mounted/etc/hostname"
  head -c 50000 /dev/urandom >"$LAB/mounted/usr/bin/fresh"
  sync -f "$LAB/mounted"
  drift_of 1 3
  finds '[.entries[] | select(.counts) | .what] | index("/usr/bin/fresh") != null and index("/etc/hostname") != null'
}

if ! have_stampede >/dev/null; then say "nothing is built"; else prepare; fi
run_case "onto an older image only what is new comes" 60 onto_an_older_image
run_case "by the receipt of an older image little is read" 90 onto_a_disk_with_a_receipt
run_case "onto a damaged disk only the damage comes" 60 onto_a_damaged_disk
run_case "nothing is read where it was said, or is not worth it" 60 never_and_where_it_is_not_worth_it
run_case "more memory than it may take is refused" 30 an_image_too_large_for_the_memory
run_case "several at once" 60 several_at_once
run_case "killed in the middle, a second run completes" 120 killed_in_the_middle 20mbit
run_case "no drift on a fresh machine" 60 no_drift_on_a_fresh_machine
run_case "no drift where the last partition has grown" 60 no_drift_on_a_fitted_machine --grow
run_case "no drift where ids are fresh" 60 no_drift_on_a_fitted_machine --fresh-uuids
run_case "no drift where both were done" 60 no_drift_on_a_fitted_machine --grow --fresh-uuids
run_case "drift finds each flipped bit, and a delta mends them" 60 each_flipped_bit
run_case "drift by file, ignored where that is said" 60 drift_by_file
run_case "drift of a mounted disk" 60 drift_of_a_mounted_disk
# With depots of their own.
run_case "several at once, by multicast" 60 several_by_multicast
run_case "empty machines join the stream of one that lacks little" 60 empty_ones_join
run_case "empty machines come when such a stream is over" 60 empty_ones_come_later
end_cases

#!/usr/bin/env bash
# Machines and depots that die in the middle, depots that stay away, and peers that serve altered bytes.
# timeout: 600
. "$(dirname "$0")/../lab/lib.sh"
lab_begin
store=$LAB/store
spare=2  # seconds that a killed depot stays away

prepare() {
  image=$("$LAB_HERE/make-image" --variant tiny)/disk.img
  import_image "$image" tiny:1 "$store" >/dev/null
  total=$("$STAMPEDE" image show tiny:1 --store "$store" --json | jq -e .data_size)
  make_network 4 50mbit
}

# start_all [deploy option…]: a depot, and four targets on fresh disks; their process ids are in pids.
start_all() {
  local i
  start_depot "$store"
  new_token "$store" "$LAB/token" --uses 4
  rm -rf "$LAB"/node-*.state
  for i in 1 2 3 4; do
    blank_disk "$LAB/disk-$i.img" "$(stat -c %s "$image")"
    disks[i]=$(attach_disk "$LAB/disk-$i.img")
    start_target "$i" "$@"
  done
}
start_target() {
  start_deploy "$1" "node-$1" tiny:1 "$LAB/token" "dev:${disks[$1]}" "${@:2}"
  pids[$1]=$STARTED
}
all_verified() {
  local i
  for i in 1 2 3 4; do wait_for 60 "node-$i to have $1 % verified" verified_at_least "node-$i" $((total * $1 / 100)); done
}
no_table() { ! sfdisk --dump "$1" >/dev/null 2>&1 || no "an interrupted disk has a partition table"; }
kill_depot() { kill -KILL "$DEPOT"; wait "$DEPOT" 2>/dev/null || true; }

target_killed() {
  need stampede namespaces loop
  start_all
  wait_for 60 "node-1 to be in the middle" verified_at_least node-1 $((total / 4))
  kill -KILL "${pids[1]}"
  wait "${pids[1]}" 2>/dev/null || true
  no_table "${disks[1]}"
  complete 2 3 4
  start_target 1
  complete 1
  remark "kept from the first run: $(jq .bytes.local "$LAB/node-1.receipt") of $total bytes"
  jq -e '.bytes.local > 0' "$LAB/node-1.receipt" || no "nothing was kept from the first run"
}

target_interrupted() {
  need stampede namespaces loop
  start_all
  wait_for 60 "node-2 to be in the middle" verified_at_least node-2 $((total / 4))
  kill -TERM "${pids[2]}"
  await "${pids[2]}" node-2 45 || no "$(tail -n 1 "$LAB/node-2.log")"
  no_table "${disks[2]}"
  complete 1 3 4
  start_target 2
  complete 2
}

depot_restarted() {
  need stampede namespaces loop
  local i
  start_all
  all_verified 15
  kill_depot
  sleep "$spare"
  for i in 1 2 3 4; do is_running "${pids[i]}" || no "node-$i gave up at once: $(tail -n 1 "$LAB/node-$i.log")"; done
  start_depot "$store"
  complete 1 2 3 4
}

# All of the image is out once one target has it: the others need the depot no more. (Counting what the depot sent does not tell:
# on a loaded machine some of that is sent twice.)
depot_gone_but_all_is_out() {
  need stampede namespaces loop
  later eval 'shape depot e0; shape switch vdepot'
  shape depot e0 400mbit
  shape switch vdepot 400mbit
  start_all --patience 20s --transfer swarm  # by multicast they would all lack the same
  wait_for 60 "one to have all of it" one_has_all
  kill_depot
  complete 1 2 3 4
}
one_has_all() {
  local i
  for i in 1 2 3 4; do
    [ "$(jq -Rr 'fromjson? | .stage // empty' "$LAB/node-$i.out" | grep -cE '^(flush|read-back|commit)$')" -eq 0 ] || return 0
  done
  return 1
}

patience_ends() {
  need stampede namespaces loop
  local i began
  start_all --patience 3s
  all_verified 10
  kill_depot
  began=$EPOCHREALTIME
  for i in 1 2 3 4; do
    await "${pids[i]}" "node-$i" 41 || no "$(tail -n 1 "$LAB/node-$i.log")"
    grep -q "$(depot_address)" "$LAB/node-$i.log" || no "the error does not name the depot"
    no_table "${disks[i]}"
    [ "$(jq -r .verdict "$LAB/node-$i.receipt")" = failure ] || no "the receipt does not say failure"
  done
  [ "$(since "$began" | cut -d. -f1)" -lt 60 ] || no "patience of 3 s took $(since "$began") s"
  start_depot "$store"
  for i in 1 2 3 4; do start_target "$i"; done
  complete 1 2 3 4
  # What could not be told then is told now.
  "$STAMPEDE" receipt list --store "$store" --json | jq -e '[.[] | select(.code == 41)] | length >= 4' ||
    no "the receipts of the failures did not reach the depot"
}

# A finished target's memory goes bad, and it is asked for much: the depot's link is slow.
altered_peer() {
  need stampede namespaces
  local bad
  perl -e 'srand 7; for (1 .. 6144) { print "ALTER-THIS-PLACE"; print pack("C*", map { int rand 256 } 1 .. 4080) }' >"$LAB/marked.img"
  import_image "$LAB/marked.img" marked:1 "$store" >/dev/null
  start_depot "$store"
  new_token "$store" "$LAB/token" --uses 3
  start_deploy 1 bad marked:1 "$LAB/token" "file:$LAB/bad.img" --transfer swarm --serve-for 100s
  bad=$STARTED
  wait_for 60 "the first target" grep -q '"finished"' "$LAB/bad.out"
  [ "$("$LAB_HERE/alter-memory" "$bad" ALTER-THIS-PLACE)" -gt 0 ] || no "found nothing to alter in the peer's memory"
  start_deploy 2 good marked:1 "$LAB/token" "file:$LAB/good.img" --transfer swarm
  await "$STARTED" good || no "$(tail -n 1 "$LAB/good.log")"
  same_bytes "$LAB/good.img" "$LAB/marked.img"
  jq -e --arg node "$(jq -r .node "$LAB/bad.receipt")" '.bad_peers == [$node]' "$LAB/good.receipt" ||
    no "the receipt does not name the peer: $(jq -c .bad_peers "$LAB/good.receipt")"
  grep -q 'altered bytes' "$LAB/good.log" || no "nobody is told: $(tail -n 1 "$LAB/good.log")"
  end_process "$bad"
}

disks=() pids=()
if ! have_stampede >/dev/null; then say "nothing is built"; else prepare; fi
run_case "a target killed in the middle resumes, the others finish" 180 target_killed
run_case "a target interrupted in the middle says so and resumes" 180 target_interrupted
run_case "a depot killed and restarted in time" 180 depot_restarted
run_case "a depot killed when all is out" 180 depot_gone_but_all_is_out
run_case "patience ends with a clear error" 240 patience_ends
run_case "a peer that serves altered bytes is dropped and named" 120 altered_peer
end_cases

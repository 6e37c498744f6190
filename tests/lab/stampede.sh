# shellcheck shell=bash
# The `stampede` command in the lab: a store, a depot, tokens, deployments. Part of lib.sh.

DEPOT_PORT=7440

have_stampede() { [ -x "$STAMPEDE" ] || { echo "no $STAMPEDE; run tools/build"; return 1; }; }

# start_depot STORE [serve option…]: in the depot's node; its process id is in $DEPOT.
start_depot() {
  local store=$1
  shift
  start_in depot depot "$STAMPEDE" serve --store "$store" --listen "$(address_of depot):$DEPOT_PORT" "$@"
  DEPOT=$STARTED
  wait_for 20 "the depot to listen" depot_listens || { cat "$LAB/depot.log" >&2; return 1; }
}
depot_listens() { is_running "$DEPOT" && in_node depot ss -Hltn "sport = :$DEPOT_PORT" | grep -q .; }
depot_address() { echo "$(address_of depot):$DEPOT_PORT"; }

# new_token STORE FILE [token option…]
new_token() {
  local store=$1 file=$2
  shift 2
  (umask 077 && "$STAMPEDE" token create --store "$store" "$@" >"$file")
}

# import_image FILE NAME:TAG STORE: prints the summary as JSON.
import_image() { "$STAMPEDE" image import "$1" "$2" --store "$3" --json; }

# prepare_old_and_new: a bootable image in $old, another in $new, which a depot with one node has as new:1; its store is $store.
prepare_old_and_new() {
  old=$("$LAB_HERE/make-image" --variant bootable)/disk.img
  new=$LAB/new.img
  other_image "$old" "$new"
  import_image "$new" new:1 "$store" >/dev/null
  make_network 1 1gbit
  start_depot "$store"
  new_token "$store" "$LAB/token" --uses 1
}

# start_deploy NODE NAME NAME:TAG TOKEN-FILE SELECTOR [deploy option…]: in the background; its process id is in $STARTED, its
# progress events in $LAB/NAME.out, its receipt in $LAB/NAME.receipt, its key and enrolment in $LAB/NAME.state.
start_deploy() {
  local node=$1 name=$2 image=$3 token=$4 selector=$5
  shift 5
  rm -f "$LAB/$name.receipt"
  start_in "$node" "$name" "$STAMPEDE" deploy "$image" --depot "$(depot_address)" --token-file "$token" --disk "$selector" \
    --state "$LAB/$name.state" --peer-listen "$(address_of "$node"):0" --progress json --receipt "$LAB/$name.receipt" "$@"
}

# await PID WHAT [STATUS]: its end, with that exit status (0).
await() {
  local status=0
  wait "$1" || status=$?
  [ "$status" -eq "${3:-0}" ] || { say "$2 ended with status $status instead of ${3:-0}: $(tail -n 1 "$LAB/$2.log" 2>/dev/null)"; return 1; }
}

# complete I…: the deployments onto $LAB/disk-I.img, with process ids ${pids[I]} and called node-I, end well, each with $image.
complete() {
  local i
  for i; do
    await "${pids[i]}" "node-$i" || no "node-$i did not complete: $(tail -n 1 "$LAB/node-$i.log")"
    same_bytes "$LAB/disk-$i.img" "$image"
  done
}

# verified_at_least NAME BYTES: does one of its progress events say so?
verified_at_least() { [ "$(jq -Rr 'fromjson? | .bytes.verified // 0' "$LAB/$1.out" | sort -n | tail -n 1 | grep . || echo 0)" -ge "$2" ]; }

#!/usr/bin/env bash
# Deployments by multicast: one stream for all, packets that are lost or never arrive, machines that stop, join late or lose
# their link, a depot that goes away; IPv6.
# timeout: 600
. "$(dirname "$0")/../lab/lib.sh"
lab_begin
store=$LAB/store

prepare() {
  image=$("$LAB_HERE/make-image" --variant tiny)/disk.img
  sealed=$(import_image "$image" tiny:1 "$store" | jq -e .new_sealed)
  total=$("$STAMPEDE" image show tiny:1 --store "$store" --json | jq -e .data_size)
  make_network 4 100mbit
  send_unsegmented depot
  serve
}
serve() { start_depot "$store" --multicast-rate 92M; }

# start_targets "I…" [option…]: to fresh disks, at the same time.
start_targets() {
  local i ids=$1
  shift
  depot_listens || serve
  for i in $ids; do
    blank_disk "$LAB/disk-$i.img" "$(stat -c %s "$image")"
    disks[i]=$(attach_disk "$LAB/disk-$i.img")
    new_token "$store" "$LAB/token-$i"
  done
  for i in $ids; do
    start_deploy "$i" "node-$i" tiny:1 "$LAB/token-$i" "dev:${disks[i]}" "$@"
    pids[i]=$STARTED
  done
}
start_all() {
  before=$(sent_by depot)
  start_targets "1 2 3 4" "$@"
}
in_the_middle() { wait_for 60 "node-$1 to be at $2 %" verified_at_least "node-$1" $((total * $2 / 100)); }
# Percent of the sealed image.
by_multicast() { jq ".bytes.multicast * 100 / $sealed | floor" "$LAB/node-$1.receipt"; }
most_by_multicast() {
  local i
  for i; do [ "$(by_multicast "$i")" -ge 75 ] || no "node-$i got $(by_multicast "$i") % by multicast: $(jq -c .bytes "$LAB/node-$i.receipt")"; done
}
depot_sent_at_most() {
  local percent=$((($(sent_by depot) - before) * 100 / sealed))
  remark "the depot sent $percent % of the sealed image"
  [ "$percent" -le "$1" ] || no "the depot sent $percent % of the sealed image"
}

have_nft() { have_command nft ethtool; }

one_stream() {
  need stampede namespaces loop
  start_all
  complete 1 2 3 4
  most_by_multicast 1 2 3 4
  depot_sent_at_most 200
  grep -q 'by multicast' "$LAB/node-1.log" || no "nobody is told what came how: $(tail -n 1 "$LAB/node-1.log")"
}

lossy() {
  need stampede namespaces loop nft
  local i
  for i in 1 2 3 4; do lose "$i" "udp dport 7441-7696 numgen random mod 100 < 5 drop"; done
  start_all
  complete 1 2 3 4
  most_by_multicast 1 2 3 4
  depot_sent_at_most 220
}

corrupted() {
  need stampede namespaces loop nft
  local i
  for i in 1 2 3 4; do lose "$i" "udp dport 7441-7696 numgen random mod 100 < 2 @th,160,8 set 0xff"; done
  # Who comes when the stream has begun has that from the others, whatever becomes of packets.
  end_process "$DEPOT"
  start_depot "$store" --multicast-rate 92M --min-receivers 4
  start_all
  complete 1 2 3 4
  most_by_multicast 1 2 3 4
  end_process "$DEPOT"
}

deaf() {
  need stampede namespaces loop nft
  lose 2 "udp dport 7441-7696 drop"
  start_all
  complete 1 2 3 4
  [ "$(by_multicast 2)" -eq 0 ] || no "node-2 heard something"
  most_by_multicast 1 3 4
}

stopped() {
  need stampede namespaces loop
  start_all
  in_the_middle 3 30
  kill -STOP "${pids[3]}"
  complete 1 2 4
  kill -CONT "${pids[3]}"
  complete 3
}

killed() {
  need stampede namespaces loop
  start_all
  in_the_middle 3 30
  kill -KILL "${pids[3]}"
  await "${pids[3]}" node-3 137
  complete 1 2 4
}

late() {
  need stampede namespaces loop
  before=$(sent_by depot)
  start_targets "1 2"
  in_the_middle 1 40
  start_targets 3
  complete 1 2 3
  remark "the late one: $(jq -c .bytes "$LAB/node-3.receipt")"
  # What it missed the others have, and it comes once.
  jq -e ".bytes | .peers + .multicast > .depot / 2 and .peers + .multicast + .depot < $sealed * 115 / 100" "$LAB/node-3.receipt" >/dev/null || no "the late one: $(jq -c .bytes "$LAB/node-3.receipt")"
  depot_sent_at_most 250  # where it came too late for the stream, one of its own
}

link_flap() {
  need stampede namespaces loop
  start_all
  in_the_middle 2 30
  ip -n "$LAB_NETID-switch" link set v2 down
  sleep "$1"
  ip -n "$LAB_NETID-switch" link set v2 up
  complete 1 2 3 4
}

short_flap() { link_flap 3; }
long_flap() { link_flap 10; }  # longer than a line may be silent
minute_flap() { link_flap 60; }

address_changes() {
  need stampede namespaces loop
  start_all
  in_the_middle 2 30
  later set_address 2 "$(address_of 2)"
  set_address 2 10.77.0.77
  complete 1 2 3 4
}

# Twice as much as the stream, from a machine on the same network.
flooded() {
  need stampede namespaces loop
  local i port kind attacked
  end_process "$DEPOT"
  start_depot "$store" --multicast-rate 30M
  before=$(sent_by depot)
  start_targets "1 2 3"
  wait_for 30 "the stream" grep -q 'multicast stream .* starts' "$LAB/depot.log"
  port=$(sed -n 's/.* multicast stream .* to 239.77.83.1:\([0-9]*\) on .* starts .*/\1/p' "$LAB/depot.log" | tail -n 1)
  attacked=$(sent_by 4)
  shape 4 e0 60mbit
  later shape 4 e0
  for kind in forged replayed corrupted; do start_in 4 "flood-$kind" "$LAB_HERE/flood" "$kind" 239.77.83.1 "$port" "$(address_of 4)" 60; done
  complete 1 2 3
  attacked=$((($(sent_by 4) - attacked) * 100 / sealed))
  remark "the attacker sent $attacked % of the sealed image"
  [ "$attacked" -ge 50 ] || no "the attacker sent $attacked % of the sealed image: hardly a flood"
  most_by_multicast 1 2 3
  depot_sent_at_most 200
  end_process "$DEPOT"
}

depot_comes_back() {
  need stampede namespaces loop
  start_all
  in_the_middle 2 30
  end_process "$DEPOT"
  sleep 1
  serve
  complete 1 2 3 4
}

set_mtu() {  # set_mtu BYTES: of the depot's and the first two machines' links
  local node
  for node in depot 1 2; do
    ip -n "$LAB_NETID-$node" link set e0 mtu "$1"
    ip -n "$LAB_NETID-switch" link set "v$node" mtu "$1"
  done
}
# What the link counts as a packet is one on the wire only where the depot sends unsegmented.
jumbo_frames() {
  need stampede namespaces loop nft
  local i packets bytes
  in_node depot ethtool -k e0 | grep '^tx-udp-segmentation: off' || no "the depot's packets cannot be counted: they leave in batches"
  later set_mtu 1500
  set_mtu 9000
  end_process "$DEPOT"
  start_depot "$store" --multicast-rate 92M --min-receivers 2
  packets=$(packets_by depot)
  bytes=$(sent_by depot)
  start_targets "1 2"
  complete 1 2
  packets=$(($(packets_by depot) - packets))
  bytes=$((($(sent_by depot) - bytes) / packets))
  remark "the depot sent $packets packets of $bytes bytes"
  [ "$bytes" -gt 4000 ] || no "the depot's packets have $bytes bytes: no jumbo frames"
  for i in 1 2; do [ "$(by_multicast "$i")" -ge 95 ] || no "node-$i got $(by_multicast "$i") % by multicast: $(jq -c .bytes "$LAB/node-$i.receipt")"; done
  end_process "$DEPOT"
}

over_ipv6() {
  need stampede namespaces loop ipv6
  local i
  for i in depot 1 2; do
    in_node "$i" sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.e0.disable_ipv6=0 net.ipv6.conf.e0.accept_dad=0
    ip -n "$LAB_NETID-$i" addr add "fd77::$([ "$i" = depot ] && echo 1 || echo 1$i)/64" dev e0 nodad
  done
  start_in depot depot6 "$STAMPEDE" serve --store "$store" --listen "[fd77::1]:7447" --multicast-group "[ff12::7753]:7441" --multicast-rate 92M \
    --min-receivers 2
  wait_for 20 "the depot to listen" grep -q 'serves' "$LAB/depot6.log"
  for i in 1 2; do
    blank_disk "$LAB/disk-$i.img" "$(stat -c %s "$image")"
    disks[i]=$(attach_disk "$LAB/disk-$i.img")
    new_token "$store" "$LAB/token-$i"
    start_in "$i" "node-$i" "$STAMPEDE" deploy tiny:1 --depot "[fd77::1]:7447" --token-file "$LAB/token-$i" --disk "dev:${disks[i]}" \
      --state "$LAB/node-$i.state6" --peer-listen "[fd77::1$i]:0" --progress json --receipt "$LAB/node-$i.receipt"
    pids[i]=$STARTED
  done
  complete 1 2
  most_by_multicast 1 2
}
have_ipv6() { [ -e /proc/sys/net/ipv6/conf/all/disable_ipv6 ] || { echo "this kernel has no IPv6"; return 1; }; }

other_ways() {
  need stampede namespaces loop
  local ways=(- multicast swarm depot) i
  for i in 1 2 3; do start_targets "$i" --transfer "${ways[i]}"; done
  complete 1 2 3
  jq -e '.bytes.peers == 0 and .bytes.multicast > 0' "$LAB/node-1.receipt" || no "multicast: $(jq -c .bytes "$LAB/node-1.receipt")"
  jq -e '.bytes.multicast == 0' "$LAB/node-2.receipt" || no "swarm: $(jq -c .bytes "$LAB/node-2.receipt")"
  jq -e '.bytes.multicast == 0 and .bytes.peers == 0' "$LAB/node-3.receipt" || no "depot: $(jq -c .bytes "$LAB/node-3.receipt")"
}

# refused WORDS OPTION…: serve with it ends with 2 and says so.
refused() {
  local words=$1 status=0
  shift
  timeout 20 "$STAMPEDE" serve --store "$store" --listen 127.0.0.1:0 "$@" >"$LAB/out" 2>&1 || status=$?
  [ "$status" -eq 2 ] || no "serve $*: status $status: $(cat "$LAB/out")"
  grep -q -- "$words" "$LAB/out" || no "serve $* does not say '$words': $(cat "$LAB/out")"
}
bad_options() {
  need stampede
  refused "not a multicast group" --multicast-group 10.0.0.1:7441
  refused "a port up to" --multicast-group 239.1.1.1:65535
  refused "no network interface 'nosuch0'" --multicast-interface nosuch0
  refused "not a rate" --multicast-rate fast
  refused "multicast-ttl" --multicast-ttl 0
  refused "multicast" --multicast perhaps
}

disks=() pids=()
if ! have_stampede >/dev/null; then say "nothing is built"; else prepare; fi
run_case "one stream for four machines" 90 one_stream
run_case "every twentieth packet is lost" 120 lossy
run_case "packets are corrupted" 120 corrupted
run_case "one machine hears nothing" 90 deaf
run_case "one machine is stopped and goes on later" 90 stopped
run_case "one machine is killed" 90 killed
run_case "one machine joins in the middle" 90 late
run_case "a link is down for three seconds" 120 short_flap
run_case "a link is down for ten seconds" 120 long_flap
run_case "a link is down for a minute" 180 minute_flap
run_case "a machine's address changes" 120 address_changes
run_case "the depot is killed and comes back" 120 depot_comes_back
run_case "a flood of forged, replayed and corrupted packets" 120 flooded
run_case "jumbo frames" 90 jumbo_frames
run_case "over IPv6" 90 over_ipv6
run_case "other ways are taken where told" 90 other_ways
run_case "options that are wrong" 60 bad_options
end_cases

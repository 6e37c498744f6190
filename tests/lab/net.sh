# shellcheck shell=bash
# Networks of the lab: one namespace for each node, all on one bridge, links shaped. Part of lib.sh.
#
# The bridge has a namespace of its own, so two runs may use the same addresses at once and the machine's own network is
# never touched. Nodes are "depot" and 1…N; their interface is called e0. Where namespaces cannot be had, every node is this
# machine, under loopback addresses of its own, unshaped.

LAB_NET=none   # none, namespaces or loopback
LAB_RATE=
LAB_NETID=

have_namespaces() {
  local probe=stampede-probe-$$
  allowed namespaces || return 1
  have_root && have_command ip tc nsenter || return 1
  ip netns add "$probe" 2>/dev/null || { echo "network namespaces cannot be made here"; return 1; }
  if ! ip -n "$probe" link add br0 type bridge 2>/dev/null || ! ip -n "$probe" link add v0 type veth peer name v1 2>/dev/null; then
    ip netns del "$probe"
    echo "bridges or veth pairs cannot be made here"
    return 1
  fi
  if ! nsenter --net="/run/netns/$probe" tc qdisc add dev v0 root tbf rate 1gbit burst 256k latency 20ms 2>/dev/null; then
    ip netns del "$probe"
    echo "links cannot be shaped here (tc tbf)"
    return 1
  fi
  ip netns del "$probe"
}

# make_network N [RATE]: the depot and N nodes; RATE as tc writes it ("1gbit"), without it links are unshaped.
make_network() {
  local count=$1 node
  LAB_RATE=${2:-}
  if ! have_namespaces >"$LAB/.reason"; then
    say "no namespaces: $(cat "$LAB/.reason"); using loopback addresses, unshaped"
    LAB_NET=loopback LAB_NETID=$(($$ % 250 + 1)) LAB_RATE=
    return 0
  fi
  LAB_NET=namespaces LAB_NETID=stampede-$$-$RANDOM
  new_namespace switch
  ip -n "$LAB_NETID-switch" link add br0 type bridge mcast_snooping 0
  ip -n "$LAB_NETID-switch" link set br0 up
  for node in depot $(seq "$count"); do add_node "$node"; done
}

new_namespace() {
  ip netns add "$LAB_NETID-$1"
  later ip netns del "$LAB_NETID-$1"
  ip -n "$LAB_NETID-$1" link set lo up
  # A kernel without IPv6 has no switch for it.
  [ ! -e /proc/sys/net/ipv6/conf/all/disable_ipv6 ] ||
    nsenter --net="/run/netns/$LAB_NETID-$1" sysctl -qw net.ipv6.conf.all.disable_ipv6=1
}

add_node() {
  local node=$1 space=$LAB_NETID-$1 switch=$LAB_NETID-switch
  new_namespace "$node"
  ip -n "$switch" link add "v$node" type veth peer name e0 netns "$space"
  ip -n "$switch" link set "v$node" master br0 up
  ip -n "$space" link set e0 up
  set_address "$node" "$(address_of "$node")"
  [ -n "$LAB_RATE" ] || return 0
  shape switch "v$node"
  shape "$node" e0
}

# set_address NODE ADDRESS: instead of the one that it has.
set_address() {
  local space=$LAB_NETID-$1
  ip -n "$space" addr flush dev e0
  ip -n "$space" addr add "$2/24" brd + dev e0
  # By route: a namespace may not choose an algorithm that the machine does not allow to everybody.
  ip -n "$space" route replace 10.77.0.0/24 dev e0 proto kernel scope link src "$2" congctl cubic
  ip -n "$space" route replace 224.0.0.0/4 dev e0
}

# shape NODE INTERFACE [RATE]: to that rate, or to the network's.
shape() {
  local rate=${3:-$LAB_RATE}
  if [ -n "$rate" ]; then in_node "$1" tc qdisc replace dev "$2" root tbf rate "$rate" burst 256k latency 20ms
  else in_node "$1" tc qdisc del dev "$2" root; fi
}

# lose NODE RULE…: an nft rule for what arrives there, until undone.
lose() {
  local node=$1
  shift
  in_node "$node" nft -f - <<<"table netdev loss { chain arriving { type filter hook ingress device \"e0\" priority 0; policy accept; $*; }; }"
  later in_node "$node" nft delete table netdev loss
}
# send_unsegmented NODE: packets as they are on a wire; as GSO packets 64 would be lost as one.
send_unsegmented() { in_node "$1" ethtool -K e0 tx-udp-segmentation off >/dev/null 2>&1 || true; }

address_of() {
  local last=1
  [ "$1" = depot ] || last=$((10 + $1))
  if [ "$LAB_NET" = loopback ]; then echo "127.77.$LAB_NETID.$last"; else echo "10.77.0.$last"; fi
}

# in_node NODE COMMAND…: execs nothing of its own in between, so a process id is the command's.
in_node() {
  local node=$1
  shift
  if [ "$LAB_NET" = namespaces ]; then exec_or_run nsenter --net="/run/netns/$LAB_NETID-$node" -- "$@"; else exec_or_run "$@"; fi
}
# In a background job of its own the shell is replaced, so that $! is the command and not a shell around it.
exec_or_run() { if [ "${LAB_EXEC:-}" = 1 ]; then exec "$@"; else "$@"; fi; }

# start_in NODE NAME COMMAND…: as start, in a node. In a session of its own, among which the scheduler divides the processors;
# the depot's is real-time, as if it had a machine to itself: whatever sends must not wait for those that receive here. Where
# $LAB_GATE names a FIFO it waits in its node until that is opened for writing.
start_in() {
  local node=$1 name=$2 run=(setsid)
  shift 2
  [ -z "${LAB_GATE:-}" ] || run=(setsid bash -c ': <"$0"; exec "$@"' "$LAB_GATE")
  [ "$node" != depot ] ||
    run=(setsid bash -c '{ chrt --rr --pid 1 $$ || renice -n -10 -p $$; } >/dev/null 2>&1; exec "$@"' depot)
  LAB_EXEC=1 start "$name" in_node "$node" "${run[@]}" "$@"
}

# sent_by NODE / received_by NODE: bytes that left or entered the node's interface so far; 0 where it has none of its own.
# packets_by NODE: and packets that left it.
sent_by() { link_count "$1" tx.bytes; }
received_by() { link_count "$1" rx.bytes; }
packets_by() { link_count "$1" tx.packets; }
link_count() {
  [ "$LAB_NET" = namespaces ] || { echo 0; return; }
  ip -n "$LAB_NETID-$1" -s -j link show dev e0 | jq ".[0].stats64.$2"
}

# listening NODE PORT: does something listen there?
listening() { in_node "$1" bash -c "exec 3<>/dev/tcp/$(address_of "$1")/$2" 2>/dev/null; }

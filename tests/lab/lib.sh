# shellcheck shell=bash
# The lab: what end-to-end tests, tools/demo and bench/ share. Sourced by bash scripts that run as root:
#
#   . "$(dirname "$0")/../lab/lib.sh"
#   lab_begin                       a temporary folder $LAB, and full cleanup on exit, INT and TERM
#   make_network 4 1gbit            net.sh: namespaces on one bridge
#   dev=$(attach_disk "$LAB/a.img") disks.sh: loop devices, root partitions, trees
#   attach_logged FILE LOG          logged.sh: disks whose writes are logged in order
#   machine NAME                    qemu.sh: QEMU, its console, and firmware
#   run_case NAME SECONDS FUNCTION  cases.sh: "ok NAME", "not ok NAME: why", "skip NAME: why"
#
# Whatever is made is written into an undo log (a file, so that sub-shells may add to it), and undone in reverse order.
set -euo pipefail
export LC_ALL=C

LAB_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
LAB_CACHE=${STAMPEDE_LAB_CACHE:-$LAB_ROOT/.cache/lab}
STAMPEDE=${STAMPEDE:-$LAB_ROOT/build/tools/stampede/stampede}
export STAMPEDE
PATH=$PATH:/usr/sbin:/sbin

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }

lab_begin() {
  LAB=$(mktemp -d "${TMPDIR:-/var/tmp}/stampede-lab.XXXXXX")
  LAB_UNDO=$LAB/.undo
  : >"$LAB_UNDO"
  set -E
  trap 'say "${0##*/}: line $LINENO: failed: $BASH_COMMAND"' ERR
  trap lab_end EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

lab_end() {
  local status=$?
  trap - EXIT
  trap '' INT TERM
  [ -d "${LAB:-}" ] || exit "$status"
  end_case
  undo_to 0
  if [ -n "${LAB_KEEP:-}" ]; then say "kept: $LAB"; else rm -rf --one-file-system "$LAB"; fi
  exit "$status"
}

# later COMMAND…: to be run at the end, last one first.
later() { printf '%q ' "$@" | sed 's/ $/\n/' >>"$LAB_UNDO"; }
undo_mark() { wc -l <"$LAB_UNDO"; }
# undo_to MARK: undoes what was recorded after undo_mark said MARK. Failures are told and do not stop the rest.
undo_to() {
  local line
  tail -n "+$(($1 + 1))" "$LAB_UNDO" | tac >"$LAB/.undoing"
  head -n "$1" "$LAB_UNDO" >"$LAB/.undo-rest"
  while IFS= read -r line; do
    eval "$line" || say "cleanup: failed: $line"
  done <"$LAB/.undoing"
  mv "$LAB/.undo-rest" "$LAB_UNDO"
}

# start NAME COMMAND…: runs it in the background with output in $LAB/NAME.log (stdout alone in $LAB/NAME.out); the process
# id is in $STARTED. It is ended with the lab.
start() {
  local name=$1
  shift
  "$@" >"$LAB/$name.out" 2>"$LAB/$name.log" </dev/null &
  STARTED=$!
  later end_process "$STARTED" "$(birth_of "$STARTED")"
}

# By the shell alone: benches start many at once, and count how long that takes.
birth_of() {
  local stat= fields
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || true
  read -ra fields <<<"${stat##*) }"
  echo "${fields[19]:-}"
}

# end_process PID [BIRTH]: TERM, and KILL after 5 s; its whole group, if it leads one. Another process that got the same
# number meanwhile is left alone.
end_process() {
  local i
  [ -z "${2:-}" ] || [ "$(birth_of "$1")" = "$2" ] || return 0
  signal TERM "$1" || return 0
  for ((i = 0; i < 50; i++)); do
    is_running "$1" || return 0
    sleep 0.1
  done
  signal KILL "$1" || true
}
# signal NAME PID: to its whole group, if it leads one.
signal() { kill "-$1" -- "-$2" 2>/dev/null || kill "-$1" "$2" 2>/dev/null; }

# A zombie is not running.
is_running() { [ -d "/proc/$1" ] && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null; }

# wait_for SECONDS WHAT COMMAND…: until the command succeeds; an error that names WHAT when the time is over.
wait_for() {
  local seconds=$1 what=$2 end
  shift 2
  end=$((${EPOCHREALTIME/./} + seconds * 1000000))
  until "$@" >/dev/null 2>&1; do
    [ "${EPOCHREALTIME/./}" -lt "$end" ] || { say "waited ${seconds} s in vain for $what"; return 1; }
    sleep 0.1
  done
}

now() { printf '%s' "$EPOCHREALTIME"; }
# since START: seconds with two decimals.
since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f", b - a }'; }

# Probes print the reason where something cannot be had, and fail.
# STAMPEDE_LAB_WITHOUT="namespaces loop" plays a machine that lacks them.
allowed() { [[ " ${STAMPEDE_LAB_WITHOUT:-} " != *" $1 "* ]] || { echo "$1 switched off by STAMPEDE_LAB_WITHOUT"; return 1; }; }
have_root() { [ "$(id -u)" -eq 0 ] || { echo "not root"; return 1; }; }
have_command() {
  local c
  for c; do command -v "$c" >/dev/null || { echo "no $c; run tools/setup"; return 1; }; done
}

LAB_HERE=$LAB_ROOT/tests/lab
. "$LAB_HERE/net.sh"
. "$LAB_HERE/disks.sh"
. "$LAB_HERE/logged.sh"
. "$LAB_HERE/qemu.sh"
. "$LAB_HERE/stampede.sh"
. "$LAB_HERE/cases.sh"

# shellcheck shell=bash
# Cases of an end-to-end test. Each prints one line, which tools/test counts:
#   ok NAME      not ok NAME: why      skip NAME: why
# Part of lib.sh. STAMPEDE_NO_SKIP=1 makes a skip a failure.

CASES_FAILED=0

# A name holds no ": ", which parts it from the reason.
#
# run_case NAME SECONDS FUNCTION [ARG…]: runs it in a sub-shell with `set -e`, in a process group of its own that is killed
# when the time is over, and undoes what it made.
run_case() {
  local name=$1 seconds=$2 mark job status=0 why began=$EPOCHREALTIME
  shift 2
  [[ -z ${ONLY:-} || $name == $ONLY ]] || return 0
  mark=$(undo_mark)
  : >"$LAB/.why"
  : >"$LAB/.remarks"
  set -m
  (
    set -eE
    trap - EXIT INT TERM
    trap 'note "${FUNCNAME[0]:-}, line $LINENO: $BASH_COMMAND"' ERR
    "$@"
  ) >"$LAB/.case.log" 2>&1 </dev/null &
  job=$!
  CASE=$job
  set +m
  # A read that never gets anything waits without a process of its own.
  (read -rt "$seconds" <> <(:) || { echo "took longer than $seconds s" >"$LAB/.why" && kill -KILL -- "-$job"; }) >/dev/null 2>&1 &
  local watch=$!
  CASE_WATCH=$watch
  wait "$job" 2>/dev/null || status=$?
  CASE=
  kill "$watch" 2>/dev/null || true
  wait "$watch" 2>/dev/null || true
  CASE_WATCH=
  why=$(head -n 1 "$LAB/.why")
  case $status in
    0) echo "ok $name"; say "#   $(since "$began") s" ;;
    77) report_skip "$name" "${why:-no reason}" ;;
    *)
      echo "not ok $name: ${why:-status $status}"
      CASES_FAILED=$((CASES_FAILED + 1))
      tail -n "${CASE_LOG_LINES:-40}" "$LAB/.case.log" | sed 's/^/#   /' >&2
      ;;
  esac
  sed 's/^/#   /' "$LAB/.remarks" >&2
  undo_to "$mark"
}

# end_case: kills the case that runs, with all of its process group: the script has been told to end.
CASE= CASE_WATCH=
end_case() {
  [ -z "$CASE" ] || kill -KILL -- "-$CASE" 2>/dev/null || true
  [ -z "$CASE_WATCH" ] || kill "$CASE_WATCH" 2>/dev/null || true
  CASE= CASE_WATCH=
}

report_skip() {
  if [ "${STAMPEDE_NO_SKIP:-}" = 1 ]; then
    echo "not ok $1: may not be skipped here: $2"
    CASES_FAILED=$((CASES_FAILED + 1))
  else
    echo "skip $1: $2"
  fi
}

# note WHY: the first reason counts.
note() { [ -s "$LAB/.why" ] || printf '%s\n' "$*" | head -n 1 >"$LAB/.why"; }
# remark TEXT: a figure worth seeing although the case is ok.
remark() { printf '%s\n' "$*" >>"$LAB/.remarks"; }
# no WHY: the case has failed.
no() { note "$*"; trap - ERR; exit 1; }
# skip WHY: the case cannot run here.
skip() { note "$*"; trap - ERR; exit 77; }
# need PROBE…: skips the case where something cannot be had ("need namespaces loop").
need() {
  local probe reason
  for probe; do
    reason=$("have_$probe") || skip "$reason"
  done
}

# expect_status CODE COMMAND…: fails the case unless the command ends with that status (an extended regular expression); its
# output is in $LAB/said.
expect_status() {
  local want=$1 got=0
  shift
  "$@" >"$LAB/said" 2>&1 || got=$?
  cat "$LAB/said"
  [[ $got =~ ^($want)$ ]] || no "status $got instead of $want: $* ($(tail -n 1 "$LAB/said"))"
}
# expect_said PATTERN: the last expect_status printed a line that matches (extended regular expression).
expect_said() { grep -Eq -- "$1" "$LAB/said" || no "does not say '$1': $(tail -n 1 "$LAB/said")"; }
same_bytes() { cmp "$1" "$2" || no "$1 and $2 differ"; }

# Ends the script: the status says whether all went well.
end_cases() { exit $((CASES_FAILED > 0)); }

# The parts of tools/test: each runs its programs, keeps their output in build/test-logs/PART/NAME.log and writes what came
# out to NAME.result beside it: lines of "pass|fail|skip <tab> test <tab> reason". Sourced, not run.

logs=build/test-logs
workers=$(nproc)
export ASAN_OPTIONS=halt_on_error=1:detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
for name in ASAN UBSAN TSAN; do export ${name}_SYMBOLIZER_PATH=/usr/bin/llvm-symbolizer-19; done
ASAN_OPTIONS+=:external_symbolizer_path=/usr/bin/llvm-symbolizer-19
UBSAN_OPTIONS+=:external_symbolizer_path=/usr/bin/llvm-symbolizer-19
TSAN_OPTIONS+=:external_symbolizer_path=/usr/bin/llvm-symbolizer-19
# Programs read it where they would skip; what skips all the same counts as failed (see outcome).
if [ "${CI:-}" = true ]; then export STAMPEDE_NO_SKIP=1; fi

start_report() {
  mkdir -p build
  rm -rf "$logs"
  mkdir -p "$logs"
  started=$EPOCHREALTIME
  trap interrupted INT TERM
}

# Jobs in the background do not hear of an interrupt by themselves; what is told so has cleaned up when its job has ended.
# Those that run beside are told alone: they tell their own.
background=
declare -A besides=()
interrupted() {
  local job
  trap '' INT TERM
  echo "tools/test: interrupted" >&2
  [ -z "$background" ] || kill -- "-$background" 2>/dev/null || true
  for job in $(jobs -p); do
    [ -n "${besides[$job]:-}" ] || pkill -P "$job" || true
    kill "$job" 2>/dev/null || true
  done
  wait || true
  exit 130
}

# in_background LOG COMMAND…: in a process group of its own; its status. In the foreground a trap would wait for its end.
in_background() {
  local log=$1 status=0
  shift
  set -m
  "$@" >"$log" 2>&1 </dev/null &
  background=$!
  set +m
  wait "$background" || status=$?
  background=
  return $status
}

# Programs that run at once; jobs beside them do not count.
declare -A running=()
# fewer_than N: waits until fewer than N of them run.
fewer_than() {
  local ended
  while [ ${#running[@]} -ge "$1" ]; do
    wait -n -p ended "${!running[@]}" || true
    unset "running[$ended]"
  done
}

# beside COMMAND…: in the background and at low priority; `wait` for it.
beside() {
  (
    besides=() running=() background=
    trap interrupted INT TERM
    renice -n 10 -p "$BASHPID" >/dev/null
    "$@"
  ) &
  besides[$!]=1
}

# A part that was asked for and found nothing to run has not passed.
ran_something() {
  [ -n "$(find "$logs/$1" -name '*.result' -print -quit)" ] || {
    outcome "$logs/$1/nothing.result" fail "$1" "ran nothing"
    print_line "$1" nothing "$EPOCHREALTIME"
  }
}

seconds_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'; }

# outcome RESULT pass|fail|skip TEST [REASON]
outcome() {
  local kind=$2
  if [ "$kind" = skip ] && [ -n "${STAMPEDE_NO_SKIP:-}" ]; then kind=fail; set -- "$1" "$2" "$3" "skipped, which CI does not allow: ${4:-}"; fi
  printf '%s\t%s\t%s\n' "$kind" "$3" "$(tr '\n\t' '  ' <<<"${4:-}")" >>"$1"
}

counts() { awk -F'\t' '{ n[$1]++ } END { printf "%d %d %d", n["pass"], n["fail"], n["skip"] }' "$@"; }

# One line for a finished program, and the first failures below it.
print_line() {  # print_line PART NAME STARTED [REMARK]
  local result=$logs/$1/$2.result pass fail skip text
  read -r pass fail skip < <(counts "$result"; echo)
  text="$pass passed"
  if [ "$fail" -gt 0 ]; then text+=", $fail failed"; fi
  if [ "$skip" -gt 0 ]; then text+=", $skip skipped"; fi
  text=$(printf '%-10s  %-18s  %-34s %7s s  %s' "$1" "$2" "$text" "$(seconds_since "$3")" "${4:-}")
  if [ "$fail" -gt 0 ]; then
    text+=$'\n'$(awk -F'\t' '$1 == "fail" && ++n <= 5 { print "            " $2 ": " substr($3, 1, 200) }' "$result")
  fi
  printf '%s\n' "$text"
}

# build KIND FOLDER [PART…]: everything, or only what these parts run: a sanitizer's build of the rest would tell nothing.
# A build counts as a test only when it fails.
build() {
  local kind=$1 folder=$2 begun=$EPOCHREALTIME log=$logs/build/$1.log
  shift 2
  mkdir -p "$logs/build"
  if in_background "$log" build_targets "$kind" "$folder" "$@"; then
    printf '%-10s  %-18s  %-34s %7s s\n' build "$kind" done "$(seconds_since "$begun")"
    touch "$logs/build/$kind.done"
    return 0
  fi
  outcome "$logs/build/$kind.result" fail "build $kind" "$(grep -m1 -E 'error:|ERROR' "$log" || tail -n 1 "$log")"
  print_line build "$kind" "$begun"
  return 1
}

build_targets() {
  local kind=$1 folder=$2
  shift 2
  tools/build "$kind" build.ninja && targets "$folder" "$@" | xargs -d '\n' tools/build "$kind"
}

# The ninja targets that parts of a build run; "all" where no part is named.
targets() {
  local folder=$1 part
  shift
  [ $# -gt 0 ] || echo all
  for part in "$@"; do
    if [ "$part" = fuzz ]; then fuzz_targets "$folder" | jq -r '.filename[0]'
    elif [ "$part" = e2e ]; then echo tools/stampede/stampede tests/powerloss/crash_states tests/powerloss/store_states tests/powerloss/no_flush.so | tr ' ' '\n'
    elif [ "$part" = clang-tidy ]; then echo build.ninja tools/stampede/version.h | tr ' ' '\n'  # it wants what compiling needs, not the results
    else jq -rn --slurpfile tests <(tests_of "$folder" "$part") --slurpfile all <(meson introspect --targets "$folder") \
      '$tests[].depends[] as $id | $all[0][] | select(.id == $id) | .filename[0]'; fi
  done | sed "s|^$PWD/$folder/||" | sort -u
}

tests_of() { meson introspect --tests "$1" | jq -c --arg suite ":$2" '.[] | select(any(.suite[]; endswith($suite)))'; }
fuzz_targets() {
  meson introspect --targets "$1" | jq -c '.[] | select(.type == "executable" and (.name | startswith("fuzz_")))'
}

built() { [ -f "$logs/build/$1.done" ]; }

# run_script PART NAME COMMAND…: one test that passes if the command does.
run_script() {
  local part=$1 name=$2 begun=$EPOCHREALTIME status=0
  shift 2
  mkdir -p "$logs/$part"
  in_background "$logs/$part/$name.log" "$@" || status=$?
  if [ $status -eq 0 ]; then outcome "$logs/$part/$name.result" pass "$name"
  else outcome "$logs/$part/$name.result" fail "$name" "$(grep -m1 -vE '^(ok |$)' "$logs/$part/$name.log" || echo "status $status")"; fi
  print_line "$part" "$name" "$begun" "$(tail -n 1 "$logs/$part/$name.log" | grep -E '^(tests/[a-z_]+: )' | cut -c1-100 || true)"
}

run_tidy() {
  run_script tidy tidy tests/tidy
  run_script tidy tidy_test tests/tidy_test
  run_script tidy parts_test tests/parts_test
  run_script tidy lab_test tests/lab_test
}
run_clang_tidy() { run_script clang-tidy clang-tidy timeout -k 10 900 tests/clang_tidy; }

# run_programs PART BUILD SUITE: the test programs that meson knows in that suite, several at once.
run_programs() {
  local part=$1 folder=$2 suite=$3 test
  mkdir -p "$logs/$part"
  while IFS= read -r test; do
    fewer_than "$workers"
    run_program "$part" "$folder" "$test" &
    running[$!]=1
  done < <(tests_of "$folder" "$suite")
  fewer_than 1
  ran_something "$part"
}

# run_program PART BUILD TEST: TEST is what meson says of it, in JSON.
run_program() {
  local part=$1 test=$3 name begun=$EPOCHREALTIME status=0 limit base command assignments
  name=$(jq -r .name <<<"$test")
  base=$PWD/$logs/$part/$name
  limit=$(jq -r .timeout <<<"$test")
  # Sanitizers cost a factor of two to ten; a limit is there to end what hangs, not to measure.
  if [ "$2" != build ]; then limit=$((limit * 3)); fi
  mapfile -t command < <(jq -r '.cmd[]' <<<"$test")
  mapfile -t assignments < <(jq -r '.env | to_entries[] | "\(.key)=\(.value)"' <<<"$test")
  if [ "$(jq -r .protocol <<<"$test")" = gtest ]; then command+=("--gtest_output=json:$base.json"); fi
  mkdir -p "$(dirname "$base")"
  echo $'fail\t'"$name"$'\tended without a word' >"$base.result"
  # The braces keep the shell's own word on a crash out of our output.
  { env "${assignments[@]}" timeout -k 10 "$limit" "${command[@]}" >"$base.log" 2>&1 </dev/null; } 2>/dev/null || status=$?
  case $status in
    77) outcome "$base.new" skip "$name" "$(tail -n 1 "$base.log")" ;;
    *) if [[ "${command[*]}" == *--gtest_output* ]]; then read_gtest "$base" "$name" $status "$limit"
       elif [ $status -eq 0 ]; then outcome "$base.new" pass "$name"
       else outcome "$base.new" fail "$name" "$(how_it_ended $status "$limit")"; fi ;;
  esac
  mv "$base.new" "$base.result"
  print_line "$part" "$name" "$begun"
}

how_it_ended() {
  case $1 in
    124 | 137) echo "stopped after $2 s" ;;
    129 | 13? | 14?) echo "crashed: SIG$(kill -l $(($1 - 128)))" ;;
    *) echo "ended with status $1" ;;
  esac
}

# read_gtest BASE NAME STATUS LIMIT: the cases of a GoogleTest program, from its JSON; from its log if it did not live to write
# one, and then the case in which it ended is the one that failed.
read_gtest() {
  local base=$1 kind test reason
  : >"$base.new"
  if [ -s "$base.json" ]; then
    jq -r '.testsuites[].testsuite[] | select(.status == "RUN") |
      [if .failures then "fail" elif .result == "SKIPPED" then "skip" else "pass" end, .classname + "." + .name,
       (.failures[0].failure // "")] | @tsv' "$base.json"
  else
    sed -nE 's/^.*\[       OK \] ([^ ,]+).*/pass\t\1\t/p; s/^.*\[  FAILED  \] ([^ ,]+).* \([0-9]+ ms\)$/fail\t\1\tsee the log/p
             s/^.*\[  SKIPPED \] ([^ ,]+).* \([0-9]+ ms\)$/skip\t\1\t/p' "$base.log"
  fi >"$base.cases"
  while IFS=$'\t' read -r kind test reason; do
    if [ "$kind" = skip ]; then reason=$(skip_reason "$base.log" "$test"); fi
    if [ "$kind" = pass ]; then printf 'pass\t%s\t\n' "$test" >>"$base.new"
    else outcome "$base.new" "$kind" "$test" "${reason//\\n/ }"; fi
  done <"$base.cases"
  rm -f "$base.cases"
  if [ ! -s "$base.json" ] || { [ "$3" -ne 0 ] && ! grep -q ^fail "$base.new"; }; then
    test=$(awk '/\[ RUN      \]/ { at = $NF } /\[ +(OK|FAILED|SKIPPED) +\]/ { at = "" } END { print at }' "$base.log")
    outcome "$base.new" fail "${test:-$2 (the program)}" \
      "$(how_it_ended "$3" "$4")$(grep -m1 -E 'Sanitizer|runtime error|terminate called|what\(\)' "$base.log" | sed 's/^/: /' || true)"
  elif [ ! -s "$base.new" ]; then
    outcome "$base.new" fail "$2 (the program)" "ran no test"
  fi
}

skip_reason() {
  awk -v test="$2" '$0 ~ /\[ RUN      \]/ { inside = $NF == test; next } inside && /: Skipped$/ { getline; print; exit }' "$1"
}

# run_fuzz SECONDS: each target from its seeds, tests/ROOM/corpus/TARGET, in a folder that is thrown away.
run_fuzz() {
  local target
  mkdir -p "$logs/fuzz"
  while IFS= read -r target; do
    fewer_than "$workers"
    run_fuzz_target "$1" "$(jq -r .name <<<"$target")" "$(jq -r '.filename[0]' <<<"$target")" \
      "$(dirname "$(jq -r .defined_in <<<"$target")")" &
    running[$!]=1
  done < <(fuzz_targets build-asan)
  fewer_than 1
  ran_something fuzz
}

run_fuzz_target() {
  local seconds=$1 name=${2#fuzz_} program=$3 seeds=$4/corpus/${2#fuzz_} base begun=$EPOCHREALTIME status=0 found
  base=$PWD/$logs/fuzz/$name
  echo $'fail\t'"$name"$'\tended without a word' >"$base.result"
  found=$(mktemp -d)
  [ -d "$seeds" ] || seeds=
  timeout -k 10 $((seconds * 3 + 60)) "$program" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=20 \
    -artifact_prefix="$base." -print_final_stats=1 "$found" ${seeds:+"$seeds"} >"$base.log" 2>&1 </dev/null || status=$?
  rm -rf "$found"
  if [ $status -eq 0 ]; then outcome "$base.new" pass "$name"
  else outcome "$base.new" fail "$name" "$(grep -m1 -E 'ERROR|runtime error|deadly signal' "$base.log" || how_it_ended $status $((seconds * 3 + 60)))"; fi
  mv "$base.new" "$base.result"
  print_line fuzz "$name" "$begun" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$base.log") inputs"
}

# run_end_to_end [LANE]: the executable tests/e2e/*.sh, one after the other: they share the machine's network and loop devices.
# Those that say "# lane: NAME" in their head need neither for themselves and run in their lane, which may be beside.
run_end_to_end() {
  local script ran=
  mkdir -p "$logs/e2e"
  for script in tests/e2e/*.sh; do
    [ -f "$script" ] && [ -x "$script" ] && [ "$(lane_of "$script")" = "${1:-}" ] || continue
    run_end_to_end_script "$script"
    ran=1
  done
  [ -n "$ran" ] || [ -n "${1:-}" ] || ran_something e2e
}
lane_of() { sed -n 's/^# lane: \([a-z]*\)$/\1/p' "$1" | head -n 1; }

run_end_to_end_script() {
  local name base begun=$EPOCHREALTIME status=0 limit line
  name=$(basename "$1" .sh)
  base=$PWD/$logs/e2e/$name
  limit=$(sed -n 's/^# timeout: \([0-9]*\)$/\1/p' "$1" | head -n 1)
  limit=${limit:-600}
  : >"$base.result"
  in_background "$base.log" timeout -k 30 "$limit" "$1" || status=$?
  while IFS= read -r line; do
    case "$line" in
      "ok "*) outcome "$base.result" pass "${line#ok }" ;;
      "not ok "*) line=${line#not ok }; outcome "$base.result" fail "${line%%: *}" "${line#*: }" ;;
      "skip "*) line=${line#skip }; outcome "$base.result" skip "${line%%: *}" "${line#*: }" ;;
    esac
  done <"$base.log"
  if [ $status -ne 0 ] && ! grep -q ^fail "$base.result"; then
    outcome "$base.result" fail "$name (the script)" "$(how_it_ended $status "$limit"): $(tail -n 1 "$base.log")"
  elif [ ! -s "$base.result" ]; then
    outcome "$base.result" fail "$name (the script)" "printed no result"
  fi
  print_line e2e "$name" "$begun"
}

# What failed, what was skipped and why, and the sum.
end_report() {
  local results pass fail skip
  mapfile -t results < <(find "$logs" -name '*.result' -printf '%T@ %p\n' | sort -n | cut -d' ' -f2-)
  read -r pass fail skip < <(counts "${results[@]}" </dev/null; echo)
  echo
  echo "ran in $(seconds_since "$started") s:"
  part_sum tidy "tests/tidy"
  part_sum unit "optimised build, no sanitizer"
  part_sum heavy "optimised build, no sanitizer"
  part_sum asan "unit tests under address and undefined behaviour sanitizers"
  part_sum tsan "unit tests of rooms that use threads, under the thread sanitizer"
  part_sum fuzz "libFuzzer under address and undefined behaviour sanitizers"
  part_sum e2e "optimised build"
  part_sum clang-tidy "changed files"
  list_of fail failed "${results[@]}"
  list_of skip skipped "${results[@]}"
  echo "$pass passed, $fail failed, $skip skipped"
  [ "$fail" -eq 0 ] && [ $((pass + fail)) -gt 0 ]
}

part_sum() {
  local pass fail skip
  [ -d "$logs/$1" ] || return 0
  read -r pass fail skip < <(find "$logs/$1" -name '*.result' -exec cat {} + | counts; echo)
  printf '  %-10s  %-34s %s\n' "$1" "$pass passed, $fail failed, $skip skipped" "($2)"
}

list_of() {  # list_of KIND TITLE RESULT…
  local kind=$1 title=$2
  shift 2
  [ $# -gt 0 ] || return 0
  awk -F'\t' -v kind="$kind" -v title="$title" '$1 == kind {
    if (!n++) print title ":"
    log_ = FILENAME; sub("[.]result$", ".log", log_)
    print "  " $2 ": " substr($3, 1, 300) (kind == "fail" ? "\n      log: " log_ : "") }' "$@"
}

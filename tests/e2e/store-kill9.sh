#!/usr/bin/env bash
# kill -9 at a random moment of what is done to a store: imports, two at once, and where there are such commands names that
# move or end, and garbage collection. After each kill the store's check is clean and the names concerned are what they were or
# what they were to become, byte for byte; in the end that is so of all.
#
#   KILLS=200 tests/e2e/store-kill9.sh     (24); SEED: which moments
# timeout: 900
# lane: store
. "$(dirname "$0")/../lab/lib.sh"
. "$LAB_HERE/store_work.sh"
lab_begin
kills=${KILLS:-24}
seed=${SEED:-$(($(date +%s) % 32768))}
images=$LAB/images
store=$LAB/store
declare -A is=()      # what a name was when it was last looked at: a file's name, or "none"
declare -A may_be=()  # what it may have become since
killed=0 whole=0 made=0

begun() { :; }
acknowledged() { :; }

# under_fire PID…: kills them at some moment of the time that such an import takes, unless they have ended by then.
under_fire() {
  local pid status at=$((RANDOM * 32768 + RANDOM))
  sleep "$(awk -v us=$((at % (${usual:-200000} * 5 / 4))) 'BEGIN { printf "%.6f", us / 1e6 }')"
  kill -KILL "$@" 2>/dev/null || true
  for pid; do
    status=0
    wait "$pid" 2>/dev/null || status=$?
    case $status in
      0) whole=$((whole + 1)) ;;
      137) killed=$((killed + 1)) ;;
      *) no "ended with status $status: $(tail -n 3 "$LAB"/fire.*)" ;;
    esac
    statuses+=("$status")
  done
}

# fire NAME:TAG VALUE COMMAND…: in the background, appended to the lists of what is under fire.
fire() {
  may_be[$1]=$2
  names+=("$1")
  "${@:3}" >"$LAB/fire.$1" 2>&1 &
  pids+=($!)
}

# A new image, in $fresh: one of the others, with something of its own.
fresh_image() {
  local base=("$images"/[a-d].img)
  made=$((made + 1))
  fresh=own-$made.img
  cp --sparse=always "${base[RANDOM % 4]}" "$images/$fresh"
  head -c $((65536 * (1 + RANDOM % 12))) /dev/urandom | dd of="$images/$fresh" bs=64K seek=$((RANDOM % 100)) conv=notrunc status=none
}
some_name() { local all=("${!is[@]}"); echo "${all[RANDOM % ${#all[@]}]}"; }

# One operation, killed or not, and a look at what became of it.
round() {
  local names=() pids=() statuses=() i name
  case $((RANDOM % 8)) in
    0 | 1)
      fresh_image
      fire "n$made:1" "$fresh" "$STAMPEDE" image import "$images/$fresh" "n$made:1" --store "$store"
      fresh_image
      fire "n$made:1" "$fresh" "$STAMPEDE" image import "$images/$fresh" "n$made:1" --store "$store"
      ;;
    2 | 3)
      if [ ${#is[@]} -gt 3 ] && has_subcommand image rm; then
        name=$(some_name)
        [ "${is[$name]}" = none ] || fire "$name" none "$STAMPEDE" image rm "$name" --store "$store"
      fi
      ;;
    4 | 5)
      if [ ${#is[@]} -gt 3 ] && has_subcommand image tag; then
        name=$(some_name)
        [ "${is[$name]}" = none ] || fire stable:1 "${is[$name]}" move_name "$name" stable:1
      fi
      ;;
  esac
  if [ ${#pids[@]} -eq 0 ]; then
    fresh_image
    fire "n$made:1" "$fresh" "$STAMPEDE" image import "$images/$fresh" "n$made:1" --store "$store"
  fi
  # Of other processes' doings it must not make anything.
  if [ $((RANDOM % 4)) -eq 0 ] && has_subcommand store gc; then
    fire gc none collect
  fi
  under_fire "${pids[@]}"
  expect_status 0 "$STAMPEDE" store check --store "$store"
  for i in "${!names[@]}"; do
    [ "${names[i]}" = gc ] || look_at "${names[i]}" "${statuses[i]}"
  done
}
move_name() { exec "$STAMPEDE" image tag "$1" "$2" --move --store "$store"; }
collect() { exec "$STAMPEDE" store gc --grace 0s --store "$store"; }

# look_at NAME:TAG STATUS: what it is now; it may be what it was only where it was killed.
look_at() {
  local found
  found=$(what_is "$1") || no "$1 does not come out: $(tail -n 1 "$LAB/said")"
  if [ "$found" != "${may_be[$1]}" ]; then
    [ "$2" -ne 0 ] && [ "$found" = "${is[$1]:-none}" ] || no "$1 is $found after status $2, was ${is[$1]:-none}, to be ${may_be[$1]} (seed $seed)"
  fi
  is[$1]=$found
}
# what_is NAME:TAG: of what it was or may be.
what_is() {
  local status=0 file
  rm -f "$LAB/out.img"
  "$STAMPEDE" image export "$1" --output "$LAB/out.img" --store "$store" >"$LAB/said" 2>&1 || status=$?
  [ "$status" -ne 60 ] || { echo none; return; }
  [ "$status" -eq 0 ] || return 1
  for file in "${may_be[$1]}" "${is[$1]:-none}"; do
    [ "$file" = none ] || ! cmp -s "$images/$file" "$LAB/out.img" || { echo "$file"; return; }
  done
  echo something else >"$LAB/said"
  return 1
}

survives() {
  need stampede
  local name began
  RANDOM=$seed
  make_images "$images"
  began=$EPOCHREALTIME
  import_file a.img a:1
  usual=$((${EPOCHREALTIME/./} - ${began/./}))
  is[a:1]=a.img
  began=$EPOCHREALTIME
  while [ "$killed" -lt "$kills" ]; do round; done
  for name in "${!is[@]}"; do
    may_be[$name]=${is[$name]}
    look_at "$name" 0
  done
  expect_status 0 "$STAMPEDE" store check --from-start --store "$store"
  [ -z "$(find "$store/packs" -name '*.open')" ] || no "something was left in packs/"
  remark "$killed killed, $whole done before; ${#is[@]} names; $(since "$began") s; seed $seed"
}

run_case "kill -9 at any moment of what is done to a store" 800 survives
end_cases

#!/usr/bin/env bash
# The garbage of a store is collected while others import, remove, export and are killed: every image that has a tag comes out
# byte for byte, and in the end nothing is kept that no image needs.
# timeout: 120
# lane: store
. "$(dirname "$0")/../lab/lib.sh"
lab_begin
store=$LAB/store

can_remove() {
  need stampede
  "$STAMPEDE" image --help | grep -q '^ *rm ' || skip "this stampede has no image rm"
}
# make_image SEED: $LAB/img-SEED; images of one hundred share most of what they have.
make_image() {
  [ -f "$LAB/img-$1" ] && return
  [ -f "$LAB/part-$(($1 / 100))" ] || head -c 6000000 /dev/urandom >"$LAB/part-$(($1 / 100))"
  { cat "$LAB/part-$(($1 / 100))"; head -c 2000000 /dev/urandom; } >"$LAB/img-$1.new"
  mv "$LAB/img-$1.new" "$LAB/img-$1"
}
import() { "$STAMPEDE" image import "$LAB/img-$1" "$2" --store "$store" >/dev/null; }
remove() { "$STAMPEDE" image rm --history "$1" --store "$store" >/dev/null; }
collect() { "$STAMPEDE" store gc --grace 0s --store "$store" "$@"; }
size_of_packs() { cat "$store"/packs/*.pack 2>/dev/null | wc -c; }

frees() {
  can_remove
  make_image 1 && make_image 2 && make_image 100
  import 1 a:1 && import 2 b:1 && import 100 c:1
  "$STAMPEDE" store stats --store "$store" --json | jq -e '.images | length == 3 and all(.[]; .own > 0)' || no "stats are wrong"
  remove a:1 && remove c:1
  "$STAMPEDE" store stats --store "$store" --json | jq -e '.garbage > 9000000 and (.images | length) == 1' || no "the garbage is not counted"
  local before
  before=$(size_of_packs)
  "$STAMPEDE" store gc --store "$store" --json | jq -e '.young_packs >= 1 and .removed_packs == 0' || no "a young pack was removed"
  collect --garbage 10 --dry-run --json | jq -e '.dry_run and .removed_packs == 1' || no "the dry run foretells something else"
  [ "$(size_of_packs)" -eq "$before" ] || no "a dry run removed something"
  collect --garbage 10 --json | tee "$LAB/gc.json"
  jq -e '.removed_packs == 1 and .freed > 0 and .problems == []' "$LAB/gc.json" || no "the report is wrong"
  [ "$(size_of_packs)" -lt $((before - 9000000)) ] || no "little was freed: $(size_of_packs) of $before are left"
  "$STAMPEDE" image export b:1 --output "$LAB/out" --store "$store"
  same_bytes "$LAB/img-2" "$LAB/out"
  rm -f "$LAB/out"
}

refuses() {
  can_remove
  expect_status 60 "$STAMPEDE" store gc --store "$LAB/nosuch"
  expect_status 2 "$STAMPEDE" store gc --store "$store" --garbage 0
  expect_status 2 "$STAMPEDE" store gc --store "$store" --grace soon
}

# ---- Everything at once. $LAB/tags/NAME holds the seed of an image whose tag is there; it is made after the import and removed
# before the tag is.
importer() {
  local i=0 seed name
  while [ ! -e "$LAB/stop" ]; do
    seed=$((RANDOM % 3 * 100 + RANDOM % 4))
    name=$1-$((++i))
    import "$seed" "$name:1" 2>"$LAB/$1.log" || { echo "import of $name failed: $(tail -n 1 "$LAB/$1.log")" >>"$LAB/wrong"; continue; }
    echo "$seed" >"$LAB/tags/$name"
    [ $((RANDOM % 3)) -eq 0 ] && continue
    name=$(find "$LAB/tags" -name "$1-*" -printf '%f\n' | shuf -n 1)
    rm -f "$LAB/tags/$name"
    remove "$name:1" 2>"$LAB/$1.log" || echo "rm of $name failed: $(tail -n 1 "$LAB/$1.log")" >>"$LAB/wrong"
  done
}
# Imports that die: what they had begun to rely on is nobody's.
dying_importer() {
  local i=0
  while [ ! -e "$LAB/stop" ]; do
    timeout -s KILL "0.$((RANDOM % 30 + 10))" "$STAMPEDE" image import "$LAB/img-$((RANDOM % 3 * 100 + 1))" "dying-$((++i)):1" \
      --store "$store" >/dev/null || true
  done
}
collector() {
  local status
  while [ ! -e "$LAB/stop" ]; do
    status=0
    collect --garbage 1 --wait 20s --json >>"$LAB/collected" || status=$?
    case $status in 0 | 44) ;; *) echo "gc ended with $status" >>"$LAB/wrong" ;; esac
    timeout -s KILL "0.$((RANDOM % 90 + 10))" "$STAMPEDE" store gc --grace 0s --garbage 1 --store "$store" >/dev/null || true
  done
}
exporter() {
  local name seed
  while [ ! -e "$LAB/stop" ]; do
    name=$(find "$LAB/tags" -type f -printf '%f\n' | shuf -n 1)
    [ -n "$name" ] && seed=$(cat "$LAB/tags/$name") 2>/dev/null || { sleep 0.1; continue; }
    if "$STAMPEDE" image export "$name:1" --output "$LAB/export" --store "$store" 2>"$LAB/export.log"; then
      cmp "$LAB/img-$seed" "$LAB/export" || echo "$name was altered" >>"$LAB/wrong"
    elif [ -e "$LAB/tags/$name" ]; then
      echo "$name did not come out: $(tail -n 1 "$LAB/export.log")" >>"$LAB/wrong"
    fi
    rm -f "$LAB/export"
  done
}

at_once() {
  can_remove
  local seed job name jobs=()
  for seed in 0 1 2 3 100 101 102 103 200 201 202 203; do make_image "$seed"; done
  mkdir -p "$LAB/tags"
  : >"$LAB/wrong"
  import 0 first:1 && remove first:1  # so that there is a store to collect in
  importer x & jobs+=($!)
  importer y & jobs+=($!)
  dying_importer & jobs+=($!)
  collector & jobs+=($!)
  exporter & jobs+=($!)
  sleep 15
  : >"$LAB/stop"
  for job in "${jobs[@]}"; do wait "$job"; done
  [ ! -s "$LAB/wrong" ] || no "$(head -n 1 "$LAB/wrong")"
  remark "$(jq -s 'map(.freed) | "\(length) collections freed \(add) bytes"' "$LAB/collected"), $(find "$LAB/tags" -type f | wc -l) tags are left"
  jq -es 'map(.freed) | add > 0' "$LAB/collected" || no "nothing was ever collected"
  collect --garbage 1 >/dev/null
  "$STAMPEDE" store check --store "$store" --json | jq -e '.problems == []' || no "the store is damaged"
  for name in $(find "$LAB/tags" -type f -printf '%f\n'); do
    "$STAMPEDE" image export "$name:1" --output "$LAB/out" --store "$store"
    same_bytes "$LAB/img-$(cat "$LAB/tags/$name")" "$LAB/out"
    rm -f "$LAB/out"
  done
  "$STAMPEDE" store stats --store "$store" --json | jq -e '.garbage == 0' || no "garbage is left"
  [ -z "$(find "$store/leases" "$store/packs" -name '*.import' -o -name '*.open' -o -name condemned)" ] || no "something of the dead is left"
}

run_case "what no image needs is freed" 60 frees
run_case "a wrong call is refused" 30 refuses
run_case "imports, removals, exports, collections and kills at once" 100 at_once
end_cases

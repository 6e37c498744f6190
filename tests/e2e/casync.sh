#!/usr/bin/env bash
# An unmodified casync pulls images from a depot and from what is exported; its own images become ours.
# timeout: 300
# lane: store
. "$(dirname "$0")/../lab/lib.sh"
lab_begin
store=$LAB/store image=$LAB/image old=$LAB/old

have_casync() { have_command casync; }
# with_room CASE…: without what cases before it made.
with_room() { rm -f "$LAB"/out* "$LAB/other" "$LAB/seeded"; "$@"; }

# An older image, and one that differs from it in 3 MB behind its file system (free space would not count): that, bytes that
# cannot be compressed (raw chunks), and an end that is no whole block.
prepare() {
  mkdir "$LAB/files"
  cp /bin/bash /usr/bin/perl /usr/bin/openssl "$LAB/files"
  mke2fs -q -t ext4 -d "$LAB/files" "$old" 40M 2>/dev/null
  head -c 5000000 /dev/urandom >>"$old"
  truncate -s $(($(stat -c %s "$old") + 3000077)) "$old"
  cp --sparse=always "$old" "$image"
  head -c 3000000 /dev/urandom | dd of="$image" bs=4096 seek=10300 conv=notrunc status=none
  import_image "$old" disk:old "$store" >/dev/null
  import_image "$image" disk:new "$store" >/dev/null
  serve_http
}

# A depot on this machine alone; $HTTP is where it gives images.
serve_http() {
  start depot "$STAMPEDE" serve --store "$store" --listen 127.0.0.1:0 --multicast off --http 127.0.0.1:0
  DEPOT=$STARTED
  wait_for 20 "the depot's HTTP side" grep -q 'pull from http' "$LAB/depot.log"
  HTTP=$(sed -n 's/.*pull from \(http:[^ ]*\)\/casync.*/\1/p' "$LAB/depot.log")
}

# had_by COMMAND…: "answers chunks bytes" that the depot gave while the command ran.
had_by() {
  local before
  before=$(grep -c 'has had' "$LAB/depot.log" || true)
  "$@" || return
  wait_for 10 "the depot to tell of it" more_than "$before"
  wait_for 10 "the connections to end" all_have_gone
  tail -n "+$((before + 1))" < <(grep 'has had' "$LAB/depot.log") |
    awk '{ for (i = 1; i < NF; i++) if ($i == "had") { a += $(i + 1); c += $(i + 3); b += $(i + 7) } } END { print a, c, b }'
}
# Of each connection it tells when it ends.
all_have_gone() { [ -z "$(ss -Htan "sport = :${HTTP##*:}" | grep -Ev '^(LISTEN|TIME-WAIT)')" ] && sleep 0.2; }
more_than() { [ "$(grep -c 'has had' "$LAB/depot.log")" -gt "$1" ]; }

over_http() {
  need stampede casync
  casync extract "$HTTP/casync/disk:new.caibx" "$LAB/out"
  same_bytes "$image" "$LAB/out"
  casync extract --store="$HTTP/casync/store" "$HTTP/casync/disk%3Aold.caibx" "$LAB/other"
  same_bytes "$old" "$LAB/other"
}

onto_device() {
  need stampede casync loop
  local size dev
  size=$(stat -c %s "$image")
  truncate -s $(((size + 1048575) / 1048576 * 1048576)) "$LAB/device"
  dev=$(attach_disk "$LAB/device")
  casync extract "$HTTP/casync/disk:new.caibx" "$dev"
  sync "$dev"
  cmp -n "$size" "$image" "$dev" || no "the device holds something else"
}

several_at_once() {
  need stampede casync
  local i pids=()
  for i in 1 2 3 4; do
    casync extract "$HTTP/casync/disk:new.caibx" "$LAB/out-$i" &
    pids+=($!)
  done
  for i in 1 2 3 4; do
    wait "${pids[i - 1]}" || no "extract $i failed"
    same_bytes "$image" "$LAB/out-$i"
  done
}

# Of what a client has in an older image little is fetched: 3 MB differ, and what their compression leaves.
with_seed() {
  need stampede casync
  local all seeded
  all=$(had_by casync extract "$HTTP/casync/fixed/disk:new.caibx" "$LAB/out")
  same_bytes "$image" "$LAB/out"
  seeded=$(had_by casync extract --seed="$old" "$HTTP/casync/fixed/disk:new.caibx" "$LAB/seeded")
  same_bytes "$image" "$LAB/seeded"
  remark "answers, chunks, bytes: $all without a seed, $seeded with the older image"
  [ "${seeded##* }" -lt 3300000 ] || no "${seeded##* } bytes were fetched where 3 MB differ"
  [ "${all##* }" -gt 7000000 ] || no "without a seed only ${all##* } bytes were fetched: the comparison says nothing"
}

what_is_not_there() {
  need stampede casync
  [ "$(curl -s -o "$LAB/said" -w '%{http_code}' "$HTTP/casync/nosuch:1.caibx")" = 404 ] || no "an unknown image is not a 404"
  [ "$(curl -s -o "$LAB/said" -w '%{http_code}' --path-as-is "$HTTP/casync/store/../../keys/signing.key")" = 404 ] || no "a path leads out"
  expect_status '[1-9].*' casync extract "$HTTP/casync/nosuch:1.caibx" "$LAB/none"
  [ ! -s "$LAB/none" ] || no "something came of an image that is not there"
}

stops_at_once() {
  need stampede
  local began=$EPOCHREALTIME
  exec 5<>"/dev/tcp/127.0.0.1/${HTTP##*:}"
  printf 'GET /casync/' >&5
  kill -TERM "$DEPOT"
  wait_for 10 "the depot's end" eval '! is_running "$DEPOT"' || no "the depot did not end"
  grep -q stopping "$LAB/depot.log" || no "it ended otherwise"
  remark "stopped in $(since "$began") s"
  exec 5>&-
}

exported() {
  need stampede casync
  "$STAMPEDE" image export disk:new --output "$LAB/x.caibx" --store "$store"
  casync extract "$LAB/x.caibx" "$LAB/out"
  same_bytes "$image" "$LAB/out"
  # What the store has is kept; the other image brings only what it lacks.
  find "$LAB/default.castr" -type f | sort >"$LAB/before"
  "$STAMPEDE" image export disk:old --output "$LAB/y.caibx" --casync-store "$LAB/default.castr" --store "$store"
  find "$LAB/default.castr" -type f | sort | comm -23 "$LAB/before" - | grep . && no "files were taken away"
  casync extract --store="$LAB/default.castr" "$LAB/y.caibx" "$LAB/other"
  same_bytes "$old" "$LAB/other"
  expect_status 2 "$STAMPEDE" image export disk:old --output "$LAB/y.caibx" --store "$store"
}

# made_by_casync [casync option…]: casync's own index and store, in $LAB/theirs.
made_by_casync() {
  rm -rf "$LAB/theirs"
  mkdir "$LAB/theirs"
  (cd "$LAB/theirs" && casync make "$@" --store=default.castr x.caibx "$image" >/dev/null)
}

imported() {
  need stampede casync
  made_by_casync "$@"
  local theirs=$LAB/their-store
  rm -rf "$theirs"
  "$STAMPEDE" image import "$LAB/theirs/x.caibx" theirs:1 --store "$theirs"
  "$STAMPEDE" image export theirs:1 --output "$LAB/out" --store "$theirs"
  same_bytes "$image" "$LAB/out"
  # However it came, it is the same image.
  [ "$("$STAMPEDE" image show theirs:1 --store "$theirs" --json | jq -r .image)" = "$("$STAMPEDE" image show disk:new --store "$store" --json | jq -r .image)" ] ||
    no "the same disk is another image"
  "$STAMPEDE" image show theirs:1 --store "$theirs" --json | jq -e '.source == "x.caibx"' || no "it is not said what it was made from"
}

imported_over_http() {
  need stampede casync
  serve_http
  curl -sf -o "$LAB/z.caibx" "$HTTP/casync/disk:new.caibx"
  "$STAMPEDE" image import "$LAB/z.caibx" far:1 --casync-store "$HTTP/casync/store" --store "$LAB/far"
  "$STAMPEDE" image import "$HTTP/casync/disk:old.caibx" far:old --store "$LAB/far"
  "$STAMPEDE" image export far:1 --output "$LAB/out" --store "$LAB/far"
  same_bytes "$image" "$LAB/out"
}

# Each is refused with a clear word, in bounded memory, and leaves nothing.
hostile() {
  need stampede casync
  made_by_casync
  local x=$LAB/theirs/x.caibx file tail
  file=$(find "$LAB/theirs" -name '*.cacnk' -size +8k | sort | sed -n 1p)
  refused() {
    expect_status "$1" prlimit --as=2000000000 "$STAMPEDE" image import "$3" bad:1 --store "$LAB/bad"
    expect_said "$2"
    [ -z "$(ls "$LAB/bad/packs")" ] || no "something was stored"
}
  cp "$file" "$LAB/kept"
  printf x | dd of="$file" bs=1 seek=5000 conv=notrunc status=none
  refused 35 "$(basename "$file" .cacnk)" "$x"
  cp "$(find "$LAB/theirs" -name '*.cacnk' | sort | sed -n '$p')" "$file"
  refused 35 "$(basename "$file" .cacnk)" "$x"
  rm "$file"
  refused 60 "$(basename "$file" .cacnk)" "$x"
  head -c 1G /dev/zero | zstd -q >"$file"
  refused 35 "$(basename "$file" .cacnk)" "$x"
  cp "$LAB/kept" "$file"
  # Its end tells of 2^60 chunks.
  tail=$(($(stat -c %s "$x") - 16))
  cp "$x" "$LAB/theirs/many.caibx"
  printf '\x10\0\0\0\0\0\0\x80' | dd of="$LAB/theirs/many.caibx" bs=1 seek="$tail" conv=notrunc status=none
  refused 2 'table of' "$LAB/theirs/many.caibx"
  truncate -s 1T "$LAB/theirs/many.caibx"
  refused 2 'many.caibx' "$LAB/theirs/many.caibx"
  # The second chunk ends before the first.
  cp "$x" "$LAB/theirs/order.caibx"
  printf '\1\0\0\0\0\0\0\0' | dd of="$LAB/theirs/order.caibx" bs=1 seek=104 conv=notrunc status=none
  refused 2 'chunk 1 ends at 1' "$LAB/theirs/order.caibx"
}

prepare_failed=
if have_stampede >/dev/null && have_casync >/dev/null; then prepare || prepare_failed=1; fi
[ -z "$prepare_failed" ] || die "cannot prepare"
run_case "casync pulls from a depot" 60 with_room over_http
run_case "onto a block device" 60 with_room onto_device
run_case "several at once" 60 with_room several_at_once
run_case "with an older image as seed" 60 with_room with_seed
run_case "what is not there" 30 with_room what_is_not_there
run_case "the depot stops while somebody is connected" 30 with_room stops_at_once
run_case "casync extracts what was exported" 60 with_room exported
run_case "an image of casync's" 60 with_room imported
run_case "one with SHA-256 and xz" 60 with_room imported --digest=sha256 --compression=xz
run_case "one with gzip" 60 with_room imported --compression=gzip
run_case "over HTTP" 60 with_room imported_over_http
run_case "hostile and damaged ones" 60 with_room hostile
end_cases

# shellcheck shell=bash
# What is done to a store while its power goes or its process is killed: imports, two at once, names that move and end, garbage
# collection. Sourced after lib.sh.
#
# Before each operation `begun NAME:TAG VALUE` is called, and `acknowledged NAME:TAG VALUE` when it has ended well; VALUE is the
# file name of the image that the name then is, or "none". Who sources this defines both.

# make_images FOLDER: a.img … d.img, which share much, and next.img; raw, of 8 MiB, with 1 to 2 MiB of data.
make_images() {
  local name
  mkdir -p "$1"
  seq 1 60000 >"$1/.text"
  for name in a b c d next; do
    truncate -s 8M "$1/$name.img"
    dd if="$1/.text" of="$1/$name.img" bs=64K seek=16 conv=notrunc status=none
    head -c 512K /dev/urandom | dd of="$1/$name.img" bs=64K seek=$((RANDOM % 8 * 8 + 32)) conv=notrunc iflag=fullblock status=none
  done
  rm "$1/.text"
}

# operation NAME:TAG VALUE COMMAND…
operation() {
  local name=$1 value=$2
  shift 2
  begun "$name" "$value"
  "$@" || return
  acknowledged "$name" "$value"
}
import_file() { "$STAMPEDE" image import "$images/$1" "$2" --store "$store"; }

# has_subcommand GROUP NAME: is there `stampede GROUP NAME`?
has_subcommand() { "$STAMPEDE" "$1" --help 2>/dev/null | grep -Eq "^  $2 "; }

# at_once: two imports; fails where one of them does.
at_once() {
  local one status=0
  operation b:1 b.img import_file b.img b:1 &
  one=$!
  operation c:1 c.img import_file c.img c:1 || status=$?
  wait "$one" || status=$?
  return "$status"
}

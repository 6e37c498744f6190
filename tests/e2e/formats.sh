#!/usr/bin/env bash
# Images of every format become the image that qemu-img makes of them; hostile ones are refused, in bounded memory and time.
# timeout: 600
# lane: store
. "$(dirname "$0")/../lab/lib.sh"
lab_begin
mkdir "$LAB/in"
cd "$LAB/in"

# Each case has its own stores and folder, so that what one leaves concerns no other.
isolated() {
  store=$LAB/stores/$RANDOM$RANDOM
  empty=$store-empty
  mkdir -p "$store-in"
  cd "$store-in"
  number=0
  "$@"
  rm -rf "$store" "$empty" "$store-in"
}
case_of() { run_case "$1" "$2" isolated "${@:3}"; }

# 1 GiB of disk, 20 MiB of it data, here and there, with text and zeros; the last bytes are a hole.
disk=$LAB/disk.img
truncate -s 1G "$disk"
for at in 0 77 300 900; do
  { head -c 3M /dev/urandom; perl -e 'print substr("a line of text $ARGV[0]\n" x 200000, 0, 2 << 20)' "$at"; } | dd of="$disk" bs=1M seek="$at" conv=notrunc status=none
done

# imported FILE [OPTION…]: the raw disk that comes out again is in $LAB/out.
imported() {
  number=$((number + 1))
  local file=$1
  shift
  /usr/bin/time -f %M -o "$LAB/kib" "$STAMPEDE" image import "$file" "f:$number" --store "$store" "$@"
  "$STAMPEDE" image export "f:$number" --output "$LAB/out" --store "$store"
}
is_disk() { imported "$@"; same_bytes "$LAB/out" "$disk"; rm -f "$LAB/out"; }

container() {
  need stampede
  qemu-img convert -f raw -O "$1" ${2:+-o "$2"} ${3:+"$3"} "$disk" "x.$1"
  qemu-img convert -f "$1" -O raw "x.$1" "$LAB/by-qemu"
  imported "x.$1"
  same_bytes "$LAB/out" "$LAB/by-qemu"
  remark "$(stat -c %s "x.$1") bytes of file, $(cat "$LAB/kib") KiB of memory"
  rm -f "$LAB/out" "$LAB/by-qemu" "x.$1"
}

packed() {
  need stampede
  "${@:2}" -c "$disk" >"x.img.$1"
  is_disk "x.img.$1"
  "$STAMPEDE" image import - piped:1 --format "raw.$1" --store "$store" --json <"x.img.$1" | jq -e '.new == 0'
  rm -f "x.img.$1"
}

standard_input() {
  need stampede
  is_disk - <"$disk"
  cat "$disk" | is_disk -
  "$STAMPEDE" image show "f:$((number + 1))" --store "$store" --json | jq -e '.source == "-"'
}

# It gives up now and then, for reasons of its own.
restored_by_partclone() {
  local try
  for try in 1 2 3; do
    rm -f by-partclone.img
    partclone.restore -s part.pcl -O by-partclone.img -C -L log >restored 2>&1 && return
    sleep "$try"
  done
  return 1
}
# partclone's own restored partition, but for free blocks.
partition_image() {
  need stampede
  local ending=$1
  shift
  truncate -s 64M part.img
  mkfs.ext4 -q -F -L parted -d "$LAB_ROOT/tests" part.img
  "$@" -c -s part.img -o part.pcl -L log >/dev/null 2>&1
  case $ending in
    *.gz) gzip -c part.pcl >"part.$ending" ;;
    *.zst) zstd -q -c part.pcl >"part.$ending" ;;
    *) cp part.pcl "part.$ending.new"; mv "part.$ending.new" "part.$ending" ;;
  esac
  restored_by_partclone || no "partclone.restore: $(tail -n 2 restored | tr '\n' ' ')"
  truncate -s 64M by-partclone.img
  imported "part.$ending"
  e2fsck -fn "$LAB/out"
  same_bytes "$LAB/out" by-partclone.img
  rm -f part.* by-partclone.img log restored "$LAB/out"
}

exported() {
  need stampede
  "$STAMPEDE" image import "$disk" export:1 --store "$store"
  "$STAMPEDE" image export export:1 --output "$LAB/out.$1" --store "$store"
  qemu-img info --output=json "$LAB/out.$1" | jq -e --arg format "$1" '.format == $format'
  qemu-img compare -f raw -F "$1" "$disk" "$LAB/out.$1"
  [ "$(stat -c %b "$LAB/out.$1")" -lt 100000 ] || no "the export holds more than the data"
  expect_status 2 "$STAMPEDE" image export export:1 --output "$LAB/out.$1" --store "$store"
  [ "$(find "$LAB" -maxdepth 1 -name 'out.*' | wc -l)" = 1 ] || no "something is left beside the export"
  rm -f "$LAB/out.$1"
}

# refused STATUS PATTERN FILE [OPTION…]: with less than 300 MiB of memory and nothing stored.
refused() {
  local want=$1 pattern=$2 file=$3
  shift 3
  expect_status "$want" /usr/bin/time -f "memory %M" "$STAMPEDE" image import "$file" refused:1 --store "$empty" "$@"
  expect_said "$pattern"
  local kib
  kib=$(sed -n 's/^memory //p' "$LAB/said")
  [ "$kib" -lt 307200 ] || no "took $kib KiB of memory"
  [ -z "$(ls "$empty/packs")" ] || no "something was stored"
  [ -z "$(find "$empty" -maxdepth 1 -name '.unnamed*')" ] || no "a spool is left"
}

backing_file() {
  need stampede
  qemu-img create -q -f qcow2 -b /etc/passwd -F raw over.qcow2 1M
  refused 2 'backing file' over.qcow2
}
data_file() {
  need stampede
  qemu-img create -q -f qcow2 -o data_file=elsewhere.raw ext.qcow2 1M
  refused 2 'another file' ext.qcow2
}
parts_of_vmdk() {
  need stampede
  qemu-img convert -f raw -O vmdk -o subformat=monolithicFlat "$disk" flat.vmdk
  refused 2 'other files' flat.vmdk
  qemu-img convert -f raw -O vmdk -o subformat=twoGbMaxExtentSparse "$disk" two.vmdk
  refused 2 'other files' two.vmdk
  qemu-img create -q -f vmdk base.vmdk 1M
  qemu-img create -q -f vmdk -b base.vmdk -F vmdk child.vmdk
  refused 2 'parent' child.vmdk
  rm -f ./*.vmdk
}
huge() {
  need stampede
  qemu-img create -q -f qcow2 -o cluster_size=2M huge.qcow2 60T
  refused 2 'max-size' huge.qcow2
  qemu-img create -q -f qcow2 -o cluster_size=2M large.qcow2 8T
  expect_status 0 timeout 30 "$STAMPEDE" image import large.qcow2 large:1 --store "$store" --json
}
# Every table of the first level names one of the second, whose every entry names one cluster: 16 GiB in a small file.
looping() {
  need stampede
  qemu-img create -q -f qcow2 loop.qcow2 16G
  qemu-io -f qcow2 -c 'write -P 7 0 512M' loop.qcow2 >/dev/null
  qemu-img create -q -f qcow2 -o cluster_size=64k small.qcow2 16G
  qemu-io -f qcow2 -c 'write -P 7 0 64k' small.qcow2 >/dev/null
  perl -e '
    open my $f, "+<:raw", $ARGV[0]; read $f, my $h, 104;
    my $entries = unpack "N", substr $h, 36, 4; my $l1 = unpack "Q>", substr $h, 40, 8;
    seek $f, $l1, 0; read $f, my $first, 8; my $l2 = unpack("Q>", $first) & 0x00fffffffffffe00;
    seek $f, $l2, 0; read $f, my $cluster, 8;
    seek $f, $l2, 0; print $f $cluster x 8192; seek $f, $l1, 0; print $f $first x $entries;' small.qcow2
  refused 2 'cannot be in a file of its size' small.qcow2
  # A table that is its own.
  perl -e '
    open my $f, "+<:raw", $ARGV[0]; read $f, my $h, 104; my $l1 = unpack "Q>", substr $h, 40, 8;
    seek $f, $l1, 0; print $f pack("Q>", $l1 | 1 << 63) x 32;' loop.qcow2
  expect_status '0|2' timeout 60 "$STAMPEDE" image import loop.qcow2 loop:1 --store "$store"
  rm -f loop.qcow2
}
cut_short() {
  need stampede
  local format
  for format in qcow2 vmdk vhdx vdi; do
    qemu-img convert -f raw -O $format "$disk" whole.$format
    head -c 60 whole.$format >cut.$format
    refused 2 "cut\\.$format" cut.$format
    head -c 10M whole.$format >cut.$format
    refused 2 'cut short' cut.$format
  done
  qemu-img convert -c -f raw -O qcow2 "$disk" packed.qcow2
  head -c 10M packed.qcow2 >cut.qcow2
  refused 2 'cut short' cut.qcow2
  qemu-img convert -f raw -O vmdk -o subformat=streamOptimized "$disk" packed.vmdk
  head -c 10M packed.vmdk >cut.vmdk
  refused 2 'cut\.vmdk' cut.vmdk
  rm -f whole.* cut.* packed.*
}
bombs() {
  need stampede
  head -c 3G /dev/zero | zstd -q -c >bomb.zst
  refused 2 'max-size' bomb.zst --max-size 1Gi
  head -c 300M /dev/zero | gzip -c >bomb.gz
  refused 2 'max-size' bomb.gz --max-size 100Mi
  head -c 300M /dev/zero | xz -0 -c >bomb.xz
  refused 2 'max-size' bomb.xz --max-size 100Mi
  head -c 200M /dev/zero | zstd -q --long=31 -c >window.zst
  refused 2 'memory' window.zst
}
truncated_and_garbage() {
  need stampede
  local ending
  head -c 3M /dev/urandom >r.img
  gzip -k r.img; xz -0k r.img; zstd -q r.img
  for ending in gz xz zst; do
    head -c 2M "r.img.$ending" >"cut.img.$ending"
    refused 2 'cut.img' "cut.img.$ending"
    { cat "r.img.$ending"; echo garbage; } >"more.img.$ending"
    refused 2 'more.img' "more.img.$ending"
  done
}
wrong_names() {
  need stampede
  qemu-img convert -f raw -O qcow2 "$disk" really.qcow2
  cp really.qcow2 wrong.img; cp really.qcow2 wrong.vmdk; cp "$disk" wrong.qcow2; cp really.qcow2 wrong.img.zst
  refused 2 'format qcow2' wrong.img
  refused 2 'no vmdk' wrong.vmdk
  refused 2 'no qcow2' wrong.qcow2
  refused 2 'wrong.img.zst' wrong.img.zst
  refused 2 'no format' wrong.img --format qcow3
  refused 2 'standard input' - --format qcow2 </dev/null
  is_disk wrong.img --format qcow2
  expect_status 0 "$STAMPEDE" image import wrong.img raw:1 --format raw --store "$store"
}
# Before anybody writes into the pipe, and while somebody could.
interrupted() {
  need stampede
  mkfifo pipe
  local writers
  for writers in none one; do
    [ $writers = none ] || start writer sh -c 'exec sleep 60 >pipe'
    start import "$STAMPEDE" image import pipe waits:1 --store "$empty"
    sleep 1
    kill -TERM "$STARTED"
    await "$STARTED" import 45 || no "the import was not interrupted"
  done
}

for format in vmdk vhdx vdi qcow2; do case_of "$format" 120 container "$format"; done
case_of "qcow2, compressed" 120 container qcow2 "" -c
case_of "vmdk, stream-optimised" 120 container vmdk subformat=streamOptimized
case_of "gzip" 120 packed gz gzip -1
case_of "xz" 120 packed xz xz -0
case_of "zstd" 120 packed zst zstd -q
case_of "standard input" 120 standard_input
case_of "partclone" 120 partition_image pcl partclone.ext4
case_of "partclone in gzip, as Clonezilla names it" 120 partition_image ext4-ptcl-img.gz partclone.ext4
case_of "partclone without checksums, in zstd" 120 partition_image ext4-ptcl-img.zst partclone.ext4 -a0
for format in qcow2 vmdk vhdx vdi; do case_of "exported as $format" 120 exported "$format"; done
case_of "a backing file is refused" 30 backing_file
case_of "an external data file is refused" 30 data_file
case_of "a vmdk of several files is refused" 30 parts_of_vmdk
case_of "a huge virtual size is refused or costs nothing" 60 huge
case_of "tables that loop are refused" 90 looping
case_of "files that are cut short are refused" 60 cut_short
case_of "bombs are bounded" 60 bombs
case_of "packed files that are cut short or go on are refused" 60 truncated_and_garbage
case_of "wrong names are refused" 60 wrong_names
case_of "waiting for a pipe is interrupted" 30 interrupted
end_cases

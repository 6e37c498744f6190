#!/usr/bin/env bash
# Bad input: each a clear message, its exit code (src/base/error.h), and no byte written to any disk.
# timeout: 600
. "$(dirname "$0")/../lab/lib.sh"
lab_begin
store=$LAB/store

prepare() {
  image=$("$LAB_HERE/make-image" --variant tiny)/disk.img
  head -c 2000000 /dev/urandom >"$LAB/plain.img"
  import_image "$image" tiny:1 "$store" >/dev/null
  import_image "$LAB/plain.img" plain:1 "$store" >/dev/null
  make_network 2
  start_depot "$store"
  new_token "$store" "$LAB/token" --uses 1000
  # One node that is enrolled: what is refused below is not refused for want of a token.
  in_node 1 "$STAMPEDE" deploy plain:1 --depot "$(depot_address)" --token-file "$LAB/token" --state "$LAB/state" \
    --disk "file:$LAB/enrol.out" --progress none
  rm "$LAB/enrol.out"
}

# deploy NAME:TAG SELECTOR [option…]: by the enrolled node.
deploy() {
  local name=$1 selector=$2
  shift 2
  in_node 1 "$STAMPEDE" deploy "$name" --depot "$(depot_address)" --state "$LAB/state" --disk "$selector" --progress none \
    --patience 5s "$@"
}

# a_disk [SIZE]: a loop device with data of its own on it; sets $disk and $file.
a_disk() {
  file=$(mktemp "$LAB/disk.XXXXXX")
  head -c 1000000 /dev/urandom >"$file"
  truncate -s "${1:-$(stat -c %s "$image")}" "$file"
  disk=$(attach_disk "$file" "${@:2}")
}

# refused CODE PATTERN COMMAND…: that status, a message of one line that matches, and the disk as it was.
refused() {
  local code=$1 pattern=$2
  shift 2
  sync "$file"
  cp --sparse=always "$file" "$LAB/before"
  expect_status "$code" "$@"
  expect_said "$pattern"
  [ "$(grep -c '^stampede: .*\[' "$LAB/said")" -eq 1 ] || no "the error is not one line: $(cat "$LAB/said")"
  cmp "$file" "$LAB/before" || { xxd -l 48 "$file"; xxd -l 48 "$LAB/before"; xxd -s 4096 -l 64 "$file"; no "the disk was written"; }
}

# --- The image, the token, the depot
no_image() { need stampede loop; a_disk; refused 60 'nosuch:1' deploy nosuch:1 "dev:$disk" --overwrite "$disk"; }
bad_name() { need stampede loop; a_disk; refused 2 'NO SUCH' deploy 'NO SUCH' "dev:$disk" --overwrite "$disk"; }

deploy_new() {
  local token=$1 state=$2
  in_node 1 "$STAMPEDE" deploy tiny:1 --depot "$(depot_address)" --state "$state" --disk "dev:$disk" --overwrite "$disk" \
    --progress none --patience 5s ${token:+--token-file "$token"}
}
no_token() { need stampede loop; a_disk; refused 30 '--token-file' deploy_new "" "$LAB/new.state"; }
not_a_token() { need stampede loop; a_disk; echo "let me in" >"$LAB/words"; refused 30 'token' deploy_new "$LAB/words" "$LAB/new.state"; }
foreign_token() {
  need stampede loop
  a_disk
  import_image "$LAB/plain.img" plain:1 "$LAB/other-store"
  new_token "$LAB/other-store" "$LAB/foreign"
  refused '3[0-9]' '' deploy_new "$LAB/foreign" "$LAB/new.state"
}
used_token() {
  need stampede loop
  a_disk
  new_token "$store" "$LAB/once"
  in_node 1 "$STAMPEDE" deploy plain:1 --depot "$(depot_address)" --token-file "$LAB/once" --state "$LAB/once.state" \
    --disk "file:$LAB/once.out" --progress none
  refused 31 'token' deploy_new "$LAB/once" "$LAB/twice.state"
}
expired_token() {
  need stampede loop
  a_disk
  new_token "$store" "$LAB/short" --ttl 1s
  sleep 2.1
  refused 32 'token' deploy_new "$LAB/short" "$LAB/late.state"
}
no_depot() {
  need stampede loop
  a_disk
  refused 40 "$(address_of depot):9" in_node 1 "$STAMPEDE" deploy tiny:1 --depot "$(address_of depot):9" --state "$LAB/state" \
    --disk "dev:$disk" --overwrite "$disk" --progress none --patience 2s
}

# A record signed by a key that the node's token did not name: the depot changed its signing key since.
foreign_signature() {
  need stampede loop
  a_disk
  cp -a "$store/keys" "$LAB/keys"
  rm "$store/keys/signing.key" "$store/keys/signers"
  head -c 100000 /dev/urandom >"$LAB/foreign.img"
  import_image "$LAB/foreign.img" foreign:1 "$store"
  cp -a "$LAB/keys/." "$store/keys/"
  refused '3[34]' 'foreign:1' deploy foreign:1 "dev:$disk" --overwrite "$disk"
}

# --- The store
# damaged_store NAME: a store with one image and its own depot beside the first; sets $damaged.
damaged_store() {
  damaged=$LAB/damaged-$1
  import_image "$image" tiny:1 "$damaged" >/dev/null
  new_token "$damaged" "$LAB/damaged-token"
}
serve_damaged() {
  start_in depot damaged "$STAMPEDE" serve --store "$damaged" --listen "$(address_of depot):7555"
  wait_for 10 "the second depot" damaged_listens || no "serve: $(tail -n 1 "$LAB/damaged.log")"
}
damaged_listens() { in_node depot ss -Hltn "sport = :7555" | grep -q .; }
deploy_damaged() {
  in_node 1 "$STAMPEDE" deploy tiny:1 --depot "$(address_of depot):7555" --token-file "$LAB/damaged-token" \
    --state "$LAB/damaged.state" --disk "dev:$disk" --overwrite "$disk" --progress none --patience 5s
}

# The manifest is what an import seals last, so it lies before the footer: 48 bytes for each chunk and 32 at the end.
altered_manifest() {
  need stampede loop
  local pack chunks at
  a_disk
  damaged_store manifest
  pack=$(echo "$damaged"/packs/*.pack)
  chunks=$("$STAMPEDE" store check --store "$damaged" --json | jq .chunks)
  at=$(($(stat -c %s "$pack") - 32 - 48 * chunks - 10))
  printf '\377\377\377' | dd of="$pack" bs=1 seek="$at" conv=notrunc status=none
  expect_status 61 "$STAMPEDE" store check --store "$damaged"
  serve_damaged
  refused '(35|61)' '' deploy_damaged
}

truncated_pack() {
  need stampede loop
  local pack
  a_disk
  damaged_store truncated
  pack=$(echo "$damaged"/packs/*.pack)
  truncate -s $(($(stat -c %s "$pack") / 2)) "$pack"
  expect_status 61 "$STAMPEDE" store check --store "$damaged"
  if start_in depot damaged "$STAMPEDE" serve --store "$damaged" --listen "$(address_of depot):7555" &&
    wait_for 3 "the second depot" damaged_listens; then
    refused '(35|61)' '' deploy_damaged
  else
    await "$STARTED" damaged 61 || no "serve: $(tail -n 1 "$LAB/damaged.log")"
  fi
}

newer_store() {
  need stampede
  mkdir "$LAB/newer"
  echo "stampede store 2" >"$LAB/newer/version"
  local command
  for command in "image list" "store check" "serve --listen 127.0.0.1:0" "token create" "receipt list"; do
    # shellcheck disable=SC2086
    expect_status 23 "$STAMPEDE" $command --store "$LAB/newer"
    expect_said "$LAB/newer"
  done
  [ "$(ls "$LAB/newer")" = version ] || no "something was written into a newer store"
}

# --- The disk
too_small() { need stampede loop; a_disk 100M; refused 17 "$disk" deploy tiny:1 "dev:$disk" --overwrite "$disk"; }
sector_size() { need stampede loop; a_disk "" --sector-size 4096; refused 18 "$disk" deploy tiny:1 "dev:$disk" --overwrite "$disk"; }
read_only() { need stampede loop; a_disk "" --read-only; refused 16 "$disk" deploy tiny:1 "dev:$disk" --overwrite "$disk"; }
foreign() { need stampede loop; a_disk; refused 19 "$disk" deploy tiny:1 "dev:$disk"; }
foreign_named_wrong() { need stampede loop; a_disk; refused 19 "$disk" deploy tiny:1 "dev:$disk" --overwrite /dev/loop9999; }
one_data_block() {
  # Not a signature that anybody knows, and not at the start: still somebody's data.
  need stampede loop
  file=$LAB/one.img
  blank_disk "$file" "$(stat -c %s "$image")"
  printf precious | dd of="$file" bs=1 seek=500000 conv=notrunc status=none
  disk=$(attach_disk "$file")
  refused 19 "$disk" deploy tiny:1 "dev:$disk"
}
mounted() {
  need stampede loop
  a_disk
  mke2fs -q -t ext4 "$disk"
  mkdir "$LAB/mnt"
  mount -o ro,noload "$disk" "$LAB/mnt"
  later umount "$LAB/mnt"
  refused 14 "$LAB/mnt" deploy tiny:1 "dev:$disk" --overwrite "$disk"
}
mounted_partition() {
  need stampede loop
  file=$LAB/parts.img
  cp --sparse=always "$image" "$file"
  disk=$(attach_disk "$file")
  partx -a "$disk" || skip "no partitions on loop devices here"
  later partx -d "$disk"
  [ -b "${disk}p2" ] || skip "no device nodes for partitions here"
  mkdir "$LAB/mnt-p"
  mount -o ro,noload "${disk}p2" "$LAB/mnt-p"
  later umount "$LAB/mnt-p"
  refused 14 "$LAB/mnt-p" deploy tiny:1 "dev:$disk" --overwrite "$disk"
}
swap_space() {
  need stampede loop
  a_disk
  mkswap -q "$disk"
  swapon "$disk" 2>/dev/null || skip "no swap here"
  later swapoff "$disk"
  refused 15 "$disk" deploy tiny:1 "dev:$disk" --overwrite "$disk"
}
held() {
  need stampede loop
  a_disk
  start holder perl -MFcntl -e 'sysopen(my $f, $ARGV[0], O_RDWR | O_EXCL) or die; print "held\n"; $| = 1; print "\n"; sleep 60' "$disk"
  wait_for 5 "the holder" grep -q held "$LAB/holder.out"
  refused 13 "$disk" deploy tiny:1 "dev:$disk" --overwrite "$disk"
}
no_disk_matches() {
  need stampede loop
  a_disk
  refused 10 'serial:NOSUCHSERIAL' deploy tiny:1 serial:NOSUCHSERIAL --overwrite "$disk"
  refused 10 'wwn:0x1' deploy tiny:1 wwn:0x1 --overwrite "$disk"
  refused 10 '/dev/nosuch' deploy tiny:1 dev:/dev/nosuch --overwrite "$disk"
  refused 2 'serial:' deploy tiny:1 "$disk" --overwrite "$disk"
  refused '(2|10)' '' deploy tiny:1 "dev:$file" --overwrite "$file"
}
not_a_file() {
  need stampede
  file=$LAB/held.img
  head -c 100000 /dev/urandom >"$file"
  truncate -s "$(stat -c %s "$image")" "$file"
  refused 19 "$file" deploy tiny:1 "file:$file"
  refused '(2|10)' '' deploy tiny:1 "file:$LAB/no/such/folder/disk.img"
  refused '(2|10|16|19|52)' '' deploy tiny:1 "file:$LAB"
  truncate -s 1M "$LAB/small.img"
  file=$LAB/small.img
  refused 17 "$file" deploy tiny:1 "file:$file"
}
two_at_once() {
  # The second finds the disk held by the first.
  need stampede loop
  a_disk
  start holder perl -MFcntl=:flock -e 'open(my $f, "+<", $ARGV[0]) or die; flock($f, LOCK_EX) or die; $| = 1; print "held\n"; sleep 60' "$LAB/plain.img"
  wait_for 5 "the holder" grep -q held "$LAB/holder.out"
  file=$LAB/plain.img
  refused 13 "$file" deploy plain:1 "file:$file" --overwrite "$file"
}

# --- The instance
no_root_file_system() { need stampede loop; a_disk; refused 21 'plain:1|root file system' deploy plain:1 "dev:$disk" --overwrite "$disk" --hostname web-1; }
bad_instance() {
  need stampede loop
  a_disk
  local bad=("dev:$disk" --overwrite "$disk")
  refused 2 "$LAB/nosuch.yaml" deploy tiny:1 "${bad[@]}" --network "$LAB/nosuch.yaml"
  printf 'version: 2\nethernets: [\n' >"$LAB/bad.yaml"
  refused 2 "$LAB/bad.yaml" deploy tiny:1 "${bad[@]}" --network "$LAB/bad.yaml"
  printf 'version: 1\nconfig: []\n' >"$LAB/v1.yaml"
  refused 2 "$LAB/v1.yaml" deploy tiny:1 "${bad[@]}" --network "$LAB/v1.yaml"
  head -c 5000 /dev/urandom >"$LAB/noise.yaml"
  refused 2 "$LAB/noise.yaml" deploy tiny:1 "${bad[@]}" --network "$LAB/noise.yaml"
  refused 2 "$LAB/noise.yaml" deploy tiny:1 "${bad[@]}" --instance "$LAB/noise.yaml"
  printf 'hostnam: web-1\n' >"$LAB/typo.yaml"
  refused 2 'hostnam' deploy tiny:1 "${bad[@]}" --instance "$LAB/typo.yaml"
  refused 2 'web_1' deploy tiny:1 "${bad[@]}" --hostname web_1
  refused 2 '' deploy tiny:1 "${bad[@]}" --role 'Not A Role'
  echo "not a key" >"$LAB/key"
  refused 2 "$LAB/key" deploy tiny:1 "${bad[@]}" --ssh-key "$LAB/key"
}

# --- Ports
port_in_use() {
  need stampede loop
  a_disk
  expect_status 42 in_node depot "$STAMPEDE" serve --store "$store" --listen "$(depot_address)"
  expect_said "$(depot_address)"
  refused 42 "$(depot_address)" in_node depot "$STAMPEDE" deploy tiny:1 --depot "$(depot_address)" --state "$LAB/state" \
    --disk "dev:$disk" --overwrite "$disk" --progress none --peer-listen "$(depot_address)"
}

rss_kib() { awk '/^VmHWM/ {print $2}' "/proc/$DEPOT/status"; }

garbage() {
  need stampede
  head -c 3000000 /dev/urandom >"$LAB/noise"
  in_node 1 bash -c 'exec 3<>"/dev/tcp/$1/$2"; cat "$3" >&3' noise "$(address_of depot)" "$DEPOT_PORT" "$LAB/noise" || true
  # What looks like TLS at first.
  { printf '\026\003\001\002\000\001\000\001\374\003\003'; head -c 100000 "$LAB/noise"; } >"$LAB/hello"
  in_node 1 bash -c 'exec 3<>"/dev/tcp/$1/$2"; cat "$3" >&3' hello "$(address_of depot)" "$DEPOT_PORT" "$LAB/hello" || true
  depot_lives
}
depot_lives() {
  is_running "$DEPOT" || no "the depot has died: $(tail -n 3 "$LAB/depot.log")"
  rm -f "$LAB/alive.out"
  deploy plain:1 "file:$LAB/alive.out" || no "the depot does not serve any more"
  same_bytes "$LAB/alive.out" "$LAB/plain.img"
}

# 10,000 connections with random bytes, 200 of them open at any time; and 300 that say nothing and stay.
many_connections() {
  need stampede
  local before
  before=$(rss_kib)
  head -c 2000000 /dev/urandom >"$LAB/noise"
  start_in 2 silent bash -c 'for ((i = 0; i < 300; i++)); do exec {fd}<>"/dev/tcp/$0/$1" || true; done; echo open; exec sleep 100' \
    "$(address_of depot)" "$DEPOT_PORT"
  in_node 1 bash -c '
    exec 9<"$3"
    for ((i = 0; i < 10000; i++)); do
      slot=$((i % 200))
      [ -z "${fds[slot]:-}" ] || { fd=${fds[slot]}; exec {fd}>&-; }
      fds[slot]=
      { exec {fd}<>"/dev/tcp/$1/$2"; } 2>/dev/null || { refused=$((refused + 1)); continue; }
      fds[slot]=$fd
      IFS= read -r -d "" -N 190 -u 9 bytes || { exec 9<"$3"; continue; }
      printf %s "$bytes" >&"$fd" 2>/dev/null
    done
    echo "${refused:-0} of 10000 could not connect"
    [ "${refused:-0}" -le 100 ]' many "$(address_of depot)" "$DEPOT_PORT" "$LAB/noise"
  remark "the depot's memory: $before KiB before, $(rss_kib) KiB at most"
  [ "$(rss_kib)" -lt $((before + 131072)) ] || no "the depot's memory grew from $before to $(rss_kib) KiB"
  depot_lives
}

if ! have_stampede >/dev/null; then say "nothing is built"; else prepare; fi
run_case "no such image" 30 no_image
run_case "a name that is none" 30 bad_name
run_case "no token" 30 no_token
run_case "not a token" 30 not_a_token
run_case "a token of another depot" 30 foreign_token
run_case "a used token" 30 used_token
run_case "an expired token" 30 expired_token
run_case "no depot there" 30 no_depot
run_case "a tag record with a foreign signature" 30 foreign_signature
run_case "an altered manifest" 60 altered_manifest
run_case "a truncated pack" 60 truncated_pack
run_case "a newer store" 30 newer_store
run_case "a disk that is too small" 30 too_small
run_case "a disk of another sector size" 30 sector_size
run_case "a read-only disk" 30 read_only
run_case "a disk with something on it" 30 foreign
run_case "a disk with something on it, and another named" 30 foreign_named_wrong
run_case "a disk with a few bytes on it" 30 one_data_block
run_case "a mounted disk" 30 mounted
run_case "a disk with a mounted partition" 30 mounted_partition
run_case "a disk in use as swap" 30 swap_space
run_case "a disk held by another" 30 held
run_case "a file held by another" 30 two_at_once
run_case "a selector that matches none" 30 no_disk_matches
run_case "a file that may not be written" 30 not_a_file
run_case "an image that cannot be customised" 30 no_root_file_system
run_case "instance files that cannot be understood" 30 bad_instance
run_case "a port in use" 30 port_in_use
run_case "garbage sent to the port" 30 garbage
run_case "10000 random connections" 180 many_connections
end_cases

# shellcheck shell=bash
# One node that deploys, again and again, from a depot that has the tiny image. Sourced after lib.sh, by suites with a $store.

# prepare_one_node [RATE]: sets $folder, $image and $size of the tiny image; the node is enrolled, and needs no token.
prepare_one_node() {
  folder=$("$LAB_HERE/make-image" --variant tiny)
  image=$folder/disk.img
  size=$(stat -c %s "$image")
  import_image "$image" tiny:1 "$store" >/dev/null
  make_network 1 "$@"
  start_depot "$store" --multicast off
  new_token "$store" "$LAB/token"
  head -c 100000 /dev/urandom >"$LAB/some"
  import_image "$LAB/some" some:1 "$store" >/dev/null
  deploy some:1 "file:$LAB/some.out" --token-file "$LAB/token"
}

# deploy NAME:TAG SELECTOR [option…]: its receipt is in $LAB/receipt.
deploy() {
  local name=$1 selector=$2
  shift 2
  in_node 1 "$STAMPEDE" deploy "$name" --depot "$(depot_address)" --state "$LAB/state" --disk "$selector" --progress none \
    --receipt "$LAB/receipt" "$@"
}
in_receipt() { jq -e "$1" "$LAB/receipt" || no "the receipt does not say $1: $(cat "$LAB/receipt")"; }

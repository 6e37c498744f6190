#!/usr/bin/env bash
# The library as an operator uses it: versions, a name that moves, what is known of them, what is taken away.
# timeout: 120
# lane: store
. "$(dirname "$0")/../lab/lib.sh"
lab_begin
store=$LAB/store
image() { "$STAMPEDE" image "$1" --store "$store" "${@:2}"; }
id_of() { image show "$1" --json | jq -r .image; }

# Two versions of a system, of which the second has changed in one place.
prepare() {
  cp --sparse=always "$("$LAB_HERE/make-image" --variant tiny)/disk.img" "$LAB/v1.img"
  cp --sparse=always "$LAB/v1.img" "$LAB/v2.img"
  head -c 200000 /dev/urandom | dd of="$LAB/v2.img" bs=1M seek=3 conv=notrunc status=none
}

imports_tell_their_line() {
  need stampede
  prepare
  image import "$LAB/v1.img" debian:1 --role base --label owner=ops --label note='first one'
  image import "$LAB/v2.img" debian:2 --parent debian:1 --role base --role web --label owner=web
  image show debian:1 --json | tee "$LAB/show.json"
  jq -e '.roles == ["base"] and .labels == {owner: "ops", note: "first one"} and .parent == null' "$LAB/show.json"
  jq -e --arg id "$(id_of debian:2)" '.children == [{image: $id, names: ["debian:2"]}]' "$LAB/show.json"
  image show debian:2 --json | jq -e --arg id "$(id_of debian:1)" \
    '.parent == $id and .ancestors == [{image: $id, names: ["debian:1"]}] and .children == []'
  image show debian:2 >"$LAB/show.txt"
  grep -q 'parent .*debian:1' "$LAB/show.txt" || no "show does not name the parent: $(cat "$LAB/show.txt")"
  grep -q 'owner=web' "$LAB/show.txt" || no "show does not name the labels"
}

a_parent_must_be_there() {
  need stampede
  expect_status 60 "$STAMPEDE" image import "$LAB/v2.img" orphan:1 --parent nosuch:1 --store "$store"
  expect_said '--parent'
  expect_status 60 "$STAMPEDE" image show orphan:1 --store "$store"
}

a_name_moves_when_told() {
  need stampede
  image tag debian:1 debian:stable
  expect_status 22 "$STAMPEDE" image tag debian:2 debian:stable --store "$store"
  expect_said '--move'
  [ "$(id_of debian:stable)" = "$(id_of debian:1)" ] || no "the refused move has moved the name"
  image tag "debian@$(id_of debian:2 | head -c 8)" debian:stable --move --json | tee "$LAB/moved.json"
  jq -e --arg id "$(id_of debian:1)" '.before == $id and .changed and .roles == ["base", "web"]' "$LAB/moved.json"
  image import "$LAB/v1.img" moved:1
  expect_status 22 "$STAMPEDE" image import "$LAB/v2.img" moved:1 --store "$store"
  image import "$LAB/v2.img" moved:1 --move --json | jq -e '.tagged'
  image rm moved:1 --history
  image history debian:stable --json | tee "$LAB/history.json"
  jq -e --arg a "$(id_of debian:1)" --arg b "$(id_of debian:2)" 'map(.image) == [$a, $b] and
    .[0].until != null and .[1].until == null and map(.problem) == [null, null]' "$LAB/history.json"
  [ "$(image history debian:stable | wc -l)" -eq 3 ] || no "the history has not two entries"
}

# onto NAME IMAGE FILE: deploys it onto a file, which then is FILE's content.
onto() {
  rm -f "$LAB/disk-$1.img"
  start_deploy 1 "$1" "$2" "$LAB/token" "file:$LAB/disk-$1.img" || return 1
  await "$STARTED" "$1" || return 1
  same_bytes "$3" "$LAB/disk-$1.img"
}

names_and_ids_are_deployed() {
  need stampede namespaces
  make_network 1 1gbit
  start_depot "$store"
  new_token "$store" "$LAB/token" --uses 4
  local old
  old=$(id_of debian:1)
  onto stable debian:stable "$LAB/v2.img"
  onto exact "debian@${old:0:10}" "$LAB/v1.img"
  jq -e --arg id "$old" --arg name "debian@${old:0:10}" '.image == $id and .name == $name' "$LAB/exact.receipt"
  # The depot that runs sees the name move.
  image tag "$old" debian:stable --move
  onto moved debian:stable "$LAB/v1.img"
  in_node 1 "$STAMPEDE" drift --disk "file:$LAB/disk-stable.img" --depot "$(depot_address)" \
    --state "$LAB/stable.state" || no "a disk is compared with what its image's name is now"
}

words_are_said_again() {
  need stampede
  image tag debian:2 debian:2 --label owner=db --label note=two --role db
  image tag debian:2 debian:2 --label note= --json | jq -e '.changed and .labels == {owner: "db"} and .roles == ["db"]'
  image tag debian:2 debian:2 --label owner=db --json | jq -e '.changed == false'
  image show debian:2 --json | jq -e '.parent != null and .labels == {owner: "db"}'
  expect_status 2 "$STAMPEDE" image tag debian:2 debian:2 --label 'no key=x' --store "$store"
  expect_status 2 "$STAMPEDE" image tag debian:2 debian:2 --role 'A B' --store "$store"
}

listed() { image list "$@" --json | jq -r '[.[] | .name + ":" + .tag] | sort | join(" ")'; }
is_listed() {
  local got want=$1
  shift
  got=$(listed "$@")
  [ "$got" = "$want" ] || no "list $* shows '$got' instead of '$want'"
}
lists_are_filtered() {
  need stampede
  image tag debian:1 debian:stable --move  # unless it is that already
  image import "$LAB/v1.img" alpine:3 --role edge
  is_listed "alpine:3 debian:1 debian:2 debian:stable"
  is_listed "debian:1 debian:2 debian:stable" debian
  is_listed "debian:1 debian:2" 'debian:?'
  is_listed "alpine:3" 'alp*'
  is_listed "debian:2" --role db
  is_listed "debian:1 debian:stable" --label owner=ops
  is_listed "debian:1 debian:2 debian:stable" --label owner
  is_listed "" --role db --label owner=ops
  image list 'debian:*' >"$LAB/list.txt"
  [ "$(wc -l <"$LAB/list.txt")" -eq 4 ] || no "not three images and a head: $(cat "$LAB/list.txt")"
}

names_are_checked() {
  need stampede
  local bad id=0123456789abcdef
  for bad in '' .. ../etc/passwd a/b / A:1 a:B 'a b' "$(printf 'a\nb')" "$(printf '\033[2J')" ä 'a:b:c' a: :a a@ \
    "a@0123" "@$id" "a:1@$id" "a@${id^^}" "$(printf 'a%.0s' {1..300})"; do
    expect_status 2 "$STAMPEDE" image show "$bad" --store "$store"
    expect_status 2 "$STAMPEDE" image export "$bad" --output "$LAB/none" --store "$store"
    expect_status 2 "$STAMPEDE" image rm "$bad" --store "$store"
    expect_status 2 "$STAMPEDE" image tag "$bad" x:1 --store "$store"
    expect_status 2 "$STAMPEDE" image tag debian:1 "$bad" --store "$store"
    expect_status 2 "$STAMPEDE" image import "$LAB/v1.img" "$bad" --store "$store"
  done
  expect_status 2 "$STAMPEDE" image import "$LAB/v1.img" "debian@$id" --store "$store"
  expect_status 2 "$STAMPEDE" image show -a --store "$store"
  expect_status 2 "$STAMPEDE" image show --store "$store" -- -a
  expect_status 60 "$STAMPEDE" image show "debian@$id" --store "$store"
  is_listed "alpine:3 debian:1 debian:2 debian:stable"
}

what_is_removed_is_gone() {
  need stampede
  local one two
  one=$(id_of debian:1) two=$(id_of debian:2)
  image rm debian:stable --json | jq -e '(.removed | length) == 1 and .history_kept == 2 and .unreferred_to == []'
  expect_status 60 "$STAMPEDE" image show debian:stable --store "$store"
  image history debian:stable --json | jq -e 'length == 2'
  expect_status 60 "$STAMPEDE" image rm debian:stable --store "$store"
  expect_said '--history'
  image rm debian:2 --history --json | jq -e '.unreferred_to == []'  # the history of stable has it
  image show "debian@$two" --json | jq -e '.tag == "stable"'
  image rm "debian@${two:0:8}" --json | jq -e --arg id "$two" '.unreferred_to == [$id]'
  expect_status 60 "$STAMPEDE" image show "$two" --store "$store"
  image rm "$one" --json | jq -e '(.removed | map(.name) | unique) == ["alpine:3", "debian:1", "debian:stable"]'
  is_listed ""
  expect_status 60 "$STAMPEDE" image history debian:stable --store "$store"
  "$STAMPEDE" store check --store "$store" --json | jq -e '.problems == []'
}

run_case "imports tell parent, roles and labels" 60 imports_tell_their_line
run_case "a parent must be in the store" 30 a_parent_must_be_there
run_case "a name moves when told, and has a history" 30 a_name_moves_when_told
run_case "names and ids are deployed; a running depot sees a name move" 90 names_and_ids_are_deployed
run_case "what is said of an image can be said anew" 30 words_are_said_again
run_case "lists are filtered" 30 lists_are_filtered
run_case "names that are none are refused" 60 names_are_checked
run_case "what is removed is gone, its history when told" 30 what_is_removed_is_gone
end_cases

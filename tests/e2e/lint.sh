#!/usr/bin/env bash
# What copies of an image must not share: found by `image lint`, left out by `image import --generalise`, and shown by
# `image diff`, on a real Debian that has lived as a machine.
. "$(dirname "$0")/../lab/lib.sh"
lab_begin

export STAMPEDE_STORE=$LAB/store
source=$LAB/debian.img

# prepare: the lab's Debian, with traces of a life.
# lane: store
prepare() {
  local root esp at
  cp --sparse=always "$("$LAB_HERE/make-image")/disk.img" "$source"
  read -ra root < <(partition_of "$source" "$ROOT_TYPE")
  read -ra esp < <(partition_of "$source" "$ESP_TYPE")
  at="$source?offset=${root[1]}"
  printf 'lease { fixed-address 192.0.2.7; }\n' >"$LAB/lease"
  printf 'SUBSYSTEM=="net", ATTR{address}=="52:54:00:12:34:56", NAME="eth0"\n' >"$LAB/rules"
  printf '[connection]\ntype=ethernet\n[ethernet]\nmac-address=52:54:00:12:34:56\n' >"$LAB/connection"
  head -c 512 /dev/urandom >"$LAB/seed"
  echo 0123456789abcdef0123456789abcdef >"$LAB/machine-id"
  debugfs -w -f - "$at" <<PLANT
rm /etc/machine-id
write $LAB/machine-id /etc/machine-id
mkdir /var/lib/dhcp
write $LAB/lease /var/lib/dhcp/dhclient.eth0.leases
mkdir /etc/udev
mkdir /etc/udev/rules.d
write $LAB/rules /etc/udev/rules.d/70-persistent-net.rules
mkdir /etc/NetworkManager
mkdir /etc/NetworkManager/system-connections
write $LAB/connection /etc/NetworkManager/system-connections/office.nmconnection
mkdir /var/lib/cloud
mkdir /var/lib/cloud/instances
mkdir /var/lib/cloud/instances/i-0123
write $LAB/lease /var/lib/cloud/instances/i-0123/user-data.txt
symlink /var/lib/cloud/instance instances/i-0123
rm /var/lib/systemd/random-seed
write $LAB/seed /var/lib/systemd/random-seed
PLANT
  e2fsck -fn "$at" >&2 || { say "the template is not sound"; return 1; }
  mcopy -o -i "$source@@${esp[1]}" "$LAB/seed" ::/loader/random-seed
}

# Where its data is, and what: the holes, which are most of it, are not read.
sum_of_source() { tar -C "$LAB" -cS --hole-detection=seek "${source##*/}" | sha256sum; }

planted='machine-id ssh-host-key dhcp-lease net-rule net-hardware cloud-instance random-seed'

lint_finds() {
  need stampede
  sum_of_source >"$LAB/sum"
  expect_status 4 "$STAMPEDE" image lint "$source"
  expect_said '^machine-id +/etc/machine-id: '
  expect_said '^dhcp-lease +/var/lib/dhcp/dhclient.eth0.leases: '
  expect_said '^random-seed +partition 1: /LOADER/RANDOM~1'
  "$STAMPEDE" image lint "$source" --json >"$LAB/file.json" || [ $? -eq 4 ]
  local code
  for code in $planted; do
    jq -e --arg c "$code" '.findings | any(.code == $c and .path != "" and .why != "" and .cure != "")' "$LAB/file.json" >/dev/null ||
      no "no $code among the findings"
  done
}

import_tells() {
  need stampede
  "$STAMPEDE" image import "$source" debian:golden 2>"$LAB/notes" || no "cannot import"
  grep -q '^lint: machine-id ' "$LAB/notes" || no "an import says nothing of the machine-id"
  grep -Eq '^lint: and [0-9]+ more' "$LAB/notes" || no "an import tells all at once"
  expect_status 4 "$STAMPEDE" image lint debian:golden
  "$STAMPEDE" image lint debian:golden --json >"$LAB/image.json" || [ $? -eq 4 ]
  same_bytes "$LAB/file.json" "$LAB/image.json"
  "$STAMPEDE" image show debian:golden --json | jq -e '.lint | any(.code == "machine-id" and .path == "/etc/machine-id")'
}

generalise_removes() {
  need stampede
  "$STAMPEDE" image import "$source" debian:general --generalise --json >"$LAB/general.json"
  sum_of_source | cmp - "$LAB/sum" || no "the template was changed"
  jq -e --slurpfile f "$LAB/file.json" '.generalised.removed == [$f[0].findings[].path]' "$LAB/general.json"
  jq -e '.lint.findings == []' "$LAB/general.json"
  expect_status 0 "$STAMPEDE" image lint debian:general
  "$STAMPEDE" image show debian:general --json | jq -e '.lint == []'
  # Made again it is the same image: the name takes it.
  "$STAMPEDE" image import "$source" debian:general --generalise --json | jq -e '.tagged == false'
}

copy_is_sound() {
  need stampede
  local root esp
  "$STAMPEDE" image export debian:general --output "$LAB/general.img"
  read -ra root < <(partition_of "$LAB/general.img" "$ROOT_TYPE")
  read -ra esp < <(partition_of "$LAB/general.img" "$ESP_TYPE")
  e2fsck -fn "$LAB/general.img?offset=${root[1]}" || no "the root file system is not sound"
  dd if="$LAB/general.img" of="$LAB/esp" bs=1M skip=$((esp[1] >> 20)) count=$((esp[2] >> 20)) conv=sparse status=none
  fsck.vfat -n "$LAB/esp" || no "the EFI system partition is not sound"
  ! grep -q 192.0.2.7 "$LAB/general.img" || no "a lease is still somewhere on the disk"
  # What makes new host keys is what systemd takes.
  debugfs -R 'cat /etc/systemd/system/stampede-host-keys.service' "$LAB/general.img?offset=${root[1]}" 2>/dev/null |
    grep -q 'ExecStart=/usr/bin/ssh-keygen -A' || no "nothing would make SSH host keys"
}

# The mounted trees say what differs; `image diff` has to say the same, no more and no less.
diff_is_exact() {
  need stampede loop
  mount_root "$source" "$LAB/before"
  mount_root "$LAB/general.img" "$LAB/after"
  list_tree "$LAB/before" >"$LAB/before.list"
  list_tree "$LAB/after" >"$LAB/after.list"
  changed_paths "$LAB/before.list" "$LAB/after.list" >"$LAB/expected"
  [ "$(wc -l <"$LAB/expected")" -ge 12 ] || no "the trees hardly differ"
  "$STAMPEDE" image diff debian:golden debian:general --all --json >"$LAB/diff.json"
  jq -r '.files[] | "\(.change) \(.path | ltrimstr("/") | rtrimstr("/"))"' "$LAB/diff.json" | sort -k2 >"$LAB/got"
  diff "$LAB/expected" "$LAB/got" || no "image diff says otherwise than the trees"
  jq -e '.total | .same + .shared + .new == .after and .new < 8000000' "$LAB/diff.json"
  jq -e '.counts.added + .counts.removed + .counts.changed == (.files | length)' "$LAB/diff.json"
}

diff_is_short() {
  need stampede
  expect_status 0 "$STAMPEDE" image diff debian:golden debian:general --limit 3
  expect_said '^removed +2 '
  expect_said 'the 3 largest are shown'
  [ "$(grep -Ec '^(added|removed|changed) ' "$LAB/said")" = 3 ] || no "--limit 3 does not show three"
  expect_status 0 "$STAMPEDE" image diff debian:golden debian:golden --exit-code
  expect_status 3 "$STAMPEDE" image diff debian:golden debian:general --exit-code --summary
}

refusals() {
  need stampede
  head -c 3000000 /dev/urandom >"$LAB/noise"
  expect_status 21 "$STAMPEDE" image lint "$LAB/noise"
  expect_status 60 "$STAMPEDE" image lint debian:none
  expect_status 60 "$STAMPEDE" image diff debian:golden debian:none
  expect_status 21 "$STAMPEDE" image import "$LAB/noise" noise:1 --generalise
  expect_status 60 "$STAMPEDE" image show noise:1
  expect_status 2 "$STAMPEDE" image lint "$LAB/nowhere"
}

have_stampede >/dev/null && prepare >"$LAB/prepare.log" 2>&1 || { cat "$LAB/prepare.log" >&2; die "cannot prepare the template"; }
run_case "lint finds what copies must not share" 30 lint_finds
run_case "an import tells of it, and its record keeps it" 60 import_tells
run_case "--generalise leaves it out, and the template as it was" 60 generalise_removes
run_case "a generalised image is sound" 60 copy_is_sound
run_case "diff names the files that differ, and no others" 60 diff_is_exact
run_case "diff is as short as it is told to be" 30 diff_is_short
run_case "lint, diff and --generalise refuse what they cannot read" 30 refusals
end_cases

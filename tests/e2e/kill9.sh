#!/usr/bin/env bash
# kill -9 at random moments of a deployment onto a disk that held a bootable image. After each the disk holds the old image
# or the new one wholly, or nobody finds a partition table on it. KILLS and SEED in the environment: how many (50), and which.
# timeout: 900
. "$(dirname "$0")/../lab/lib.sh"
lab_begin
store=$LAB/store
kills=${KILLS:-50}
seed=${SEED:-$(($(date +%s) % 32768))}

# deploy_over: the old image on a disk, and a deployment of the new one in the background.
deploy_over() {
  [ -z "${disk:-}" ] || detach_disk "$disk" "$LAB/disk.img"
  cp --sparse=always "$old" "$LAB/disk.img"
  disk=$(attach_disk "$LAB/disk.img")
  start_deploy 1 target new:1 "$LAB/token" "dev:$disk" --overwrite "$disk"
}

# killed PID: dead, and what it had under way is on the disk or is not coming any more.
killed() {
  kill -KILL "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
  wait_for 10 "the disk to come to rest" grep -Eq '^ *0 +0$' "/sys/block/${disk#/dev/}/inflight"
  sync "$disk"
}

# completes [same_but_free]: a second run, onto what is on the disk.
completes() {
  start_deploy 1 target new:1 "$LAB/token" "dev:$disk"
  await "$STARTED" target || no "$(tail -n 1 "$LAB/target.log")"
  "${1:-same_bytes}" "$LAB/disk.img" "$new" || no "the disk is not the image"
}

# same_data IMAGE: outside the commit region (the first MiB and the last 64 KiB) the disk holds just this.
same_data() { cmp -s -i 1048576 -n $(($(stat -c %s "$old") - 1048576 - 65536)) "$LAB/disk.img" "$1"; }

# What is on the disk:
#   untouched, complete   byte for byte the old image, or the new one
#   old, new              the same but for the commit region: nothing was written yet, or all of it and read back; a table
#                         that somebody accepts names whole file systems
#   blank                 anything else, and nobody finds a partition table on it; if somebody does, the case has failed
state_of_disk() {
  local tables=()
  if cmp -s "$LAB/disk.img" "$old"; then echo untouched; return; fi
  if cmp -s "$LAB/disk.img" "$new"; then echo complete; return; fi
  if same_data "$old"; then echo old; return; fi
  if same_data "$new"; then echo new; return; fi
  ! sfdisk --dump "$disk" >/dev/null 2>&1 || tables+=(sfdisk)
  ! sgdisk --print "$disk" 2>&1 | grep -Eq '^ +[0-9]+ +[0-9]+ ' || tables+=(sgdisk)
  [ -z "$(partx --show --noheadings "$disk" 2>/dev/null)" ] || tables+=(partx)
  ! blkid -p -o value -s PTTYPE "$disk" >/dev/null 2>&1 || tables+=(blkid)
  [ ${#tables[@]} -eq 0 ] || no "half an image is on the disk and ${tables[*]} accepts its partition table"
  echo blank
}

random_kills() {
  need stampede loop namespaces
  local i began whole moment state booted boots=0
  deploy_over
  began=$EPOCHREALTIME
  await "$STARTED" target || no "$(tail -n 1 "$LAB/target.log")"
  whole=$(since "$began")
  same_bytes "$LAB/disk.img" "$new"
  echo "a whole deployment takes $whole s; seed $seed"
  RANDOM=$seed
  : >"$LAB/states"
  for ((i = 1; i <= kills; i++)); do
    # Every third moment in the first or last fifth, where the commit region is blanked and written.
    moment=$(awk -v r=$RANDOM -v w="$whole" -v i="$i" 'BEGIN { f = r / 32767
      print (i % 6 == 1 ? f / 5 : i % 6 == 4 ? 0.8 + f / 4 : f * 1.05) * w }')
    deploy_over
    sleep "$moment"
    killed "$STARTED"
    state=$(state_of_disk) || no "kill $i of $kills, after $moment s (SEED=$seed): $(head -n 1 "$LAB/.why")"
    echo "$state" >>"$LAB/states"
    # Firmware, on a handful.
    if [ "$state" = blank ] && [ "$boots" -lt 4 ] && have_ovmf >/dev/null; then
      boots=$((boots + 1))
      ! uefi_boots "$LAB/disk.img" 40 || no "kill $i, after $moment s (SEED=$seed): firmware boots half an image"
    fi
  done
  sort "$LAB/states" | uniq -c | tee "$LAB/counts"
  remark "of $kills kills: $(awk '{ printf "%s%d %s", sep, $1, $2; sep = ", " }' "$LAB/counts"); firmware asked $boots times"
  grep -q blank "$LAB/states" || no "no kill came in the middle of writing"
}

firmware_tells_apart() {
  need stampede ovmf
  uefi_boots "$old" 60 || no "firmware does not boot the old image: the test of half images would prove nothing"
  uefi_boots "$new" 60 || no "firmware does not boot the new image"
}

resumes_after_kills() {
  need stampede loop namespaces
  local i
  deploy_over
  for i in 1 2 3; do
    sleep 0.4
    killed "$STARTED"
    # What is on it now is ours, if the first kill came late enough: --overwrite stands for the other case.
    start_deploy 1 target new:1 "$LAB/token" "dev:$disk" --overwrite "$disk"
  done
  await "$STARTED" target || no "$(tail -n 1 "$LAB/target.log")"
  same_bytes "$LAB/disk.img" "$new"
}

# Killed in its last step: the mark says "interrupted", and all else is there already.
killed_in_commit() {
  need stampede loop namespaces
  deploy_over
  wait_for 20 "the middle of the deployment" in_the_middle
  killed "$STARTED"
  dd if="$LAB/disk.img" of="$LAB/mark" bs=4096 count=1 status=none
  start_deploy 1 target new:1 "$LAB/token" "dev:$disk"
  await "$STARTED" target || no "$(tail -n 1 "$LAB/target.log")"
  dd if="$LAB/mark" of="$disk" bs=4096 count=1 conv=notrunc oflag=direct status=none
  completes
}

# Killed when the journal (src/disk/journal.h) names something: a second run keeps that and fetches the rest, and does not
# believe it either.
resumes_from_its_journal() {
  need stampede loop namespaces
  local named kept
  journalled_kill
  named=$(journal_names)
  completes
  kept=$(jq .bytes.local "$LAB/target.receipt")
  [ "$kept" -gt 0 ] || no "nothing of the first run was kept, though its journal names $named spans"
  [ "$(jq '.bytes | .depot + .peers + .multicast' "$LAB/target.receipt")" -lt "$(jq .bytes.total "$LAB/target.receipt")" ] ||
    no "as much was fetched as by a first run"
  remark "the journal named $named spans; $((kept >> 20)) MiB kept"
}

# What the journal names is altered. Its newer record is lost, and the second run is killed too.
doubts_its_journal() {
  need stampede loop namespaces
  local slot
  journalled_kill
  alter_placed
  completes same_but_free
  grep -q 'had made durable' "$LAB/target.log" || no "nothing is said of altered blocks"

  journalled_kill
  slot=$(newest_slot)
  dd if=/dev/zero of="$disk" bs=4096 seek="$((slot / 4096))" count=1 oflag=direct conv=notrunc status=none
  shape depot e0 200mbit
  start_deploy 1 target new:1 "$LAB/token" "dev:$disk"
  wait_for 20 "the second run's journal" journal_names_some
  killed "$STARTED"
  shape depot e0 1gbit
  completes
  [ "$(jq .bytes.local "$LAB/target.receipt")" -gt 0 ] || no "nothing was kept"
}

# A deployment over a slow link, killed when its journal names something.
journalled_kill() {
  shape depot e0 200mbit
  deploy_over
  wait_for 20 "the journal" journal_names_some
  killed "$STARTED"
  shape depot e0 1gbit
}
# The bits that are set in the newer record; none where there is no record yet.
journal_names() {
  local slot spans
  slot=$(newest_slot) || { echo 0; return; }
  spans=$(od -An -tu4 -j $((slot + 64)) -N 4 "$LAB/disk.img")
  od -An -tx1 -v -j $((slot + 128)) -N $(((spans + 7) / 8)) "$LAB/disk.img" | tr -d ' \n' |
    awk '{ n = 0; for (i = 1; i <= length($0); i++) n += substr("0112122312232334", index("0123456789abcdef", substr($0, i, 1)), 1); print n }'
}
journal_names_some() { in_the_middle && [ "$(journal_names)" -gt 5 ]; }
# The byte at which the journal's newer record lies.
newest_slot() {
  local slot sequence newest=0 best=
  for slot in 65536 557056; do
    [ "$(dd if="$LAB/disk.img" bs=8 skip=$((slot / 8)) count=1 status=none | tr -d '\0')" = STMPJRNL ] || continue
    sequence=$(od -An -tu8 -j $((slot + 16)) -N 8 "$LAB/disk.img")
    if [ "$sequence" -gt "$newest" ]; then newest=$sequence best=$slot; fi
  done
  [ -n "$best" ] && echo "$best"
}
# Alters all that the journal may name: everything between the commit region's ends.
alter_placed() {
  dd if=/dev/urandom of="$disk" bs=1M seek=2 count=$(($(stat -c %s "$LAB/disk.img") / 1048576 - 3)) oflag=direct conv=notrunc status=none
}
in_the_middle() { [ "$(head -c 8 "$LAB/disk.img")" = STMPMARK ]; }

if ! have_stampede >/dev/null; then say "nothing is built"; else prepare_old_and_new; fi
run_case "firmware boots the old and the new image" 200 firmware_tells_apart
run_case "$kills kills leave no half image" 600 random_kills
run_case "a deployment killed in its commit completes" 60 killed_in_commit
run_case "a killed deployment goes on from its journal" 60 resumes_from_its_journal
run_case "a journal is believed only as far as the disk bears it out" 120 doubts_its_journal
run_case "a deployment completes after three kills" 120 resumes_after_kills
end_cases

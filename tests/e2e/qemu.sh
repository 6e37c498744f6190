#!/usr/bin/env bash
# Disks that have serial numbers and WWNs: a machine in QEMU, started from nothing but the `stampede` command, its libraries
# and busybox, lists its disks and writes them from a depot outside.
# timeout: 420
. "$(dirname "$0")/../lab/lib.sh"
lab_begin
store=$LAB/store
WWN=0x5000c50015ea71aa

# The guest's file system: busybox, the command with its libraries, the modules of the image's kernel, a token, and what to do.
make_initrd() {
  local root=$LAB/guest kernel lib module
  mkdir -p "$root"/{bin,etc,proc,sys,dev,tmp,lib/modules,run}
  cp "$(command -v busybox)" "$root/bin/busybox"
  for module in sh mount ip modprobe poweroff sleep cat echo; do ln -s busybox "$root/bin/$module"; done
  cp "$STAMPEDE" "$root/bin/stampede"
  for lib in $(ldd "$STAMPEDE" | grep -o '/[^ ]*'); do install -D -m 755 "$lib" "$root$lib"; done
  mount_root "$image/disk.img" "$LAB/image-root"
  kernel=$(ls "$LAB/image-root/usr/lib/modules")
  for module in virtio_pci virtio_blk virtio_scsi sd_mod virtio_net; do
    modprobe --dirname "$LAB/image-root/usr" --set-version "$kernel" --show-depends "$module" || true
  done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | sort -u >"$LAB/modules"
  while read -r module; do install -D "$module" "$root/lib/modules/$kernel/${module##*"/$kernel/"}"; done <"$LAB/modules"
  cp "$LAB/image-root/usr/lib/modules/$kernel"/modules.{dep,alias,builtin,order,softdep} "$root/lib/modules/$kernel/" 2>/dev/null || true
  new_token "$store" "$root/etc/join.token"
  guest_script >"$root/init"
  chmod +x "$root/init"
  (cd "$root" && find . | cpio --quiet -o -H newc | gzip -1) >"$LAB/guest.img"
}

guest_script() {
  cat <<END
#!/bin/sh
export PATH=/bin HOME=/
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for m in virtio_pci virtio_blk virtio_scsi sd_mod virtio_net; do modprobe \$m; done
sleep 1
ip link set lo up; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0; ip route add default via 10.0.2.2
echo "guest-disks \$(stampede disks --json)"
try() {
  name=\$1; selector=\$2
  stampede deploy tiny:1 --depot 10.0.2.2:$port --token-file /etc/join.token --state /tmp/state --disk "\$selector" --progress none
  echo "guest-status \$name \$?"
}
try unknown serial:NOBODY
try twice serial:TWIN
try serial serial:STMP-A
try wwn wwn:$WWN
try again serial:STMP-A
echo guest-done
poweroff -f
END
}

start_machine() {
  local i
  for i in a b twin1 twin2; do blank_disk "$LAB/$i.img" "$(stat -c %s "$tiny/disk.img")"; done
  machine guest -smp "$(nproc)" -kernel "$image/vmlinuz" -initrd "$LAB/guest.img" -append "console=ttyS0 quiet panic=-1" \
    -nic user,model=virtio-net-pci \
    -drive "if=none,id=a,format=raw,file=$LAB/a.img" -device virtio-blk-pci,drive=a,serial=STMP-A \
    -device virtio-scsi-pci -drive "if=none,id=b,format=raw,file=$LAB/b.img" -device "scsi-hd,drive=b,serial=STMP-B,wwn=$WWN" \
    -drive "if=none,id=t1,format=raw,file=$LAB/twin1.img" -device virtio-blk-pci,drive=t1,serial=TWIN \
    -drive "if=none,id=t2,format=raw,file=$LAB/twin2.img" -device virtio-blk-pci,drive=t2,serial=TWIN
}

guest_runs() {
  need stampede qemu loop
  image=$("$LAB_HERE/make-image")
  tiny=$("$LAB_HERE/make-image" --variant tiny)
  import_image "$tiny/disk.img" tiny:1 "$store"
  start depot "$STAMPEDE" serve --store "$store" --listen 127.0.0.1:0
  wait_for 20 "the depot to listen" grep -q ' on 127.0.0.1:' "$LAB/depot.log"
  port=$(sed -n 's/.* on 127\.0\.0\.1:\([0-9]*\)$/\1/p' "$LAB/depot.log")
  make_initrd
  start_machine
  console_says guest guest-done 240 || no "the guest did not end: $(tail -n 3 "$LAB/guest.console" | tr -d '\r')"
  sed -n 's/^guest-disks //p' "$LAB/guest.console" | tr -d '\r' >"$LAB/disks.json"
  jq -e --arg wwn "$WWN" 'any(.[]; .serial == "STMP-A" and .writable) and any(.[]; .serial == "STMP-B" and (.wwn | contains($wwn[2:])))' \
    "$LAB/disks.json" || no "stampede disks does not show both disks: $(cat "$LAB/disks.json")"
  expect_guest unknown 10
  expect_guest twice 11
  expect_guest serial 0
  expect_guest wwn 0
  expect_guest again 19
  cmp -n "$(stat -c %s "$tiny/disk.img")" "$LAB/a.img" "$tiny/disk.img" || no "the disk named by its serial is not the image"
  cmp -n "$(stat -c %s "$tiny/disk.img")" "$LAB/b.img" "$tiny/disk.img" || no "the disk named by its WWN is not the image"
  for i in twin1 twin2; do [ "$(stat -c %b "$LAB/$i.img")" -eq 0 ] || no "a disk that nobody named alone was written"; done
}

expect_guest() {
  grep -aq "^guest-status $1 $2" "$LAB/guest.console" ||
    no "in the guest '$1' ended with another status than $2: $(grep -a "^guest-status $1" "$LAB/guest.console" | tr -d '\r')"
}

run_case "serial and wwn name disks in a machine" 400 guest_runs
end_cases

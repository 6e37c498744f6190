# shellcheck shell=bash
# Disks whose every write and flush is logged in order, in the format of dm-log-writes: qemu-storage-daemon's blklogwrites,
# exported through FUSE, under a loop device. Part of lib.sh.
#
# Without losetup's --direct-io, which corrupts over such an export; programs may open the device with O_DIRECT.

have_logged_disk() {
  allowed logged_disk && have_loop && have_command qemu-storage-daemon || return 1
  [ -c /dev/fuse ] || { echo "no /dev/fuse"; return 1; }
}

# attach_logged FILE LOG [losetup option…]: a loop device over FILE in $LOGGED_DISK; detach_logged ends it, and then the log is
# whole.
attach_logged() {
  local mount=$LAB/logged.$RANDOM
  : >"$2"
  : >"$mount"
  later unmount_dead "$mount"  # after the daemon's end, since undoing goes backwards
  start "${mount##*/}" qemu-storage-daemon --blockdev "driver=file,node-name=disk,filename=$1,discard=unmap" \
    --blockdev "driver=file,node-name=log,filename=$2" \
    --blockdev driver=blklogwrites,node-name=both,file=disk,log=log,log-sector-size=512,discard=unmap \
    --export "type=fuse,id=export,node-name=both,mountpoint=$mount,writable=on,allow-other=off"
  LOGGED_DAEMON=$STARTED
  wait_for 10 "the export of ${1##*/}" mountpoint_holds "$mount" "$(stat -c %s "$1")"
  LOGGED_DISK=$(losetup --find --show "${@:3}" "$mount")
  LOGGED_FILE=$mount
  later detach_disk "$LOGGED_DISK" "$mount"
}
# A daemon that was killed leaves its mount behind; one that ended does not.
unmount_dead() { ! grep -qF " $1 " /proc/self/mounts || umount -l "$1"; }
mountpoint_holds() { [ "$(stat -c %s "$1")" = "$2" ]; }

detach_logged() {
  sync "$LOGGED_DISK"
  detach_disk "$LOGGED_DISK" "$LOGGED_FILE"
  wait_for 10 "$LOGGED_DISK to be let go" eval "! losetup '$LOGGED_DISK'"
  end_process "$LOGGED_DAEMON"
  wait "$LOGGED_DAEMON" 2>/dev/null || true
}

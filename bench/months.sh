# shellcheck shell=bash
# Images that are related to the lab's: a month later, and in roles. Sourced by benches after lib.sh and lab_begin, with $variant
# (debian or tiny) and $old, its image.
. "$LAB_HERE/recipe/layout.sh"

# What a month brings to a Debian: packages that are new, and some that are installed again.
fresh_packages=(git tcpdump vim-common strace)
again_packages=(openssh-server openssh-client systemd perl-base coreutils bash libc6 cloud-init python3.11-minimal)

# What two roles have beside that.
web_packages=(nginx-light nginx-common php8.2-cli php8.2-common libicu72)
db_packages=(postgresql-15 postgresql-client-15 libpq5)

# Kept beside the old image, made once: $rebuilt and $upgraded, the two of this month; $web and $db, built with more packages.
next_month() {
  local folder
  folder=$(dirname "$old")/next-month-$(sha256sum "${BASH_SOURCE[0]}" | cut -c1-8)
  rebuilt=$folder/rebuilt.img upgraded=$folder/upgraded.img web=$folder/web.img db=$folder/db.img
  [ ! -d "$folder" ] || return 0
  rm -rf "$(dirname "$old")"/next-month-*
  say "making this month's images"
  rm -rf "$folder.new"
  mkdir "$folder.new"
  changed_copy "change_$variant" "$folder.new/upgraded.img"
  rebuild "$folder.new/upgraded.img" "$folder.new/rebuilt.img"
  local role
  for role in web db; do
    changed_copy "${role}_$variant" "$LAB/role.img"
    rebuild "$LAB/role.img" "$folder.new/$role.img"
  done
  rm -f "$LAB/role.img"
  mv -T "$folder.new" "$folder"
}

# mount_for_writing IMAGE: its root file system on $LAB/root, until undone.
mount_for_writing() {
  local at
  read -ra at < <(partition_of "$1" "$ROOT_TYPE")
  root_device=$(losetup --find --show --offset "${at[1]}" --sizelimit "${at[2]}" "$1")
  later losetup -d "$root_device"
  mkdir -p "$LAB/root"
  mount -t ext4 "$root_device" "$LAB/root"
  later umount "$LAB/root"
}

# changed_copy CHANGE FILE: of the old image, mounted and changed.
changed_copy() {
  local mark
  mark=$(undo_mark)
  cp --sparse=always "$old" "$2"
  mount_for_writing "$2"
  "$1" "$LAB/root"
  sync -f "$LAB/root"
  undo_to "$mark"
}

# Of that root, a disk laid out as the recipe does.
rebuild() {
  local mark
  mark=$(undo_mark)
  mkdir -p "$LAB/copy"
  mount_for_writing "$1"
  cp -a --sparse=always "$LAB/root/." "$LAB/copy/"
  rm -rf "$LAB/copy/lost+found"
  undo_to "$mark"
  cp --sparse=always "$old" "$2"
  fallocate --punch-hole --offset "$(partition_of "$2" "$ROOT_TYPE" | cut -d' ' -f2)" --length "$(partition_of "$2" "$ROOT_TYPE" | cut -d' ' -f3)" "$2"
  fill_root "$2" "$LAB/copy"
  rm -rf "$LAB/copy"
}

# unpack ROOT PACKAGE…: as apt would, without asking.
unpack() {
  local root=$1
  shift
  rm -rf "$LAB/debs"
  mkdir "$LAB/debs"
  (cd "$LAB/debs" && apt-get -qq -o APT::Sandbox::User=root download "$@" >&2)
  # As the image was made.
  printf 'path-exclude=/usr/share/%s/*\n' man doc locale >"$root/etc/dpkg/dpkg.cfg.d/small"
  mount --bind "$LAB/debs" "$root/mnt"  # a copy would leave its blocks behind
  later umount "$root/mnt"
  chroot "$root" sh -c 'dpkg --unpack --force-all /mnt/*.deb' >"$LAB/dpkg.log" 2>&1 || { tail -n 20 "$LAB/dpkg.log" >&2; return 1; }
}
change_debian() {
  unpack "$1" "${fresh_packages[@]}" "${again_packages[@]}"
  echo "# this month" >>"$1/etc/initramfs-tools/initramfs.conf"
  chroot "$1" update-initramfs -u >"$LAB/initramfs.log" 2>&1 || true
}
web_debian() { unpack "$1" "${web_packages[@]}"; }
db_debian() { unpack "$1" "${db_packages[@]}"; }
change_tiny() {
  head -c 3M /dev/urandom >"$1/srv/fresh"
  cp "$1/srv/random" "$1/srv/copied"
  mv "$1/srv/copied" "$1/srv/random"
}
web_tiny() { head -c 5M /dev/urandom >"$1/srv/web"; }
db_tiny() { head -c 5M /dev/urandom >"$1/srv/db"; }

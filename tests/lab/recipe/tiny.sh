# shellcheck shell=bash
# A root file system that says it is Debian with cloud-init, and 64 MiB of data, half random and half compressible; a kernel
# of sorts in it and, off the grid of blocks, on the EFI system partition; nothing that runs. Part of make-image.
build_image() {
  lay_out "$1/disk.img" 256 40
  tiny_root "$LAB/root"
  fill_root "$1/disk.img" "$LAB/root"
  tiny_esp "$LAB/esp"
  fill_esp "$1/disk.img" "$LAB/esp"
}

tiny_esp() {
  mkdir -p "$1"
  cp "$(command -v busybox)" "$1/vmlinuz"
}

tiny_root() {
  local root=$1 i
  mkdir -p "$root"/{etc/{cloud/cloud.cfg.d,ssh},usr/{bin,lib},var/lib/{cloud,dbus},root,srv,dev,proc,sys,run,tmp}
  cat >"$root/usr/lib/os-release" <<'OS'
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION_CODENAME=bookworm
ID=debian
OS
  ln -s ../usr/lib/os-release "$root/etc/os-release"
  echo 'datasource_list: [NoCloud, None]' >"$root/etc/cloud/cloud.cfg"
  echo template >"$root/etc/hostname"
  echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
  cp "$root/etc/machine-id" "$root/var/lib/dbus/machine-id"
  for i in rsa ed25519; do
    echo "not a key" >"$root/etc/ssh/ssh_host_${i}_key"
    echo "not a key" >"$root/etc/ssh/ssh_host_${i}_key.pub"
    chmod 600 "$root/etc/ssh/ssh_host_${i}_key"
  done
  printf '#!/bin/sh\nexit 0\n' >"$root/usr/bin/cloud-init"
  chmod 755 "$root/usr/bin/cloud-init"
  # An executable of this architecture tells what the image is for.
  cp "$(command -v busybox)" "$root/usr/bin/busybox"
  random_bytes 32 >"$root/srv/random"
  seq -f 'line %.0f of a text that compresses well' 1 800000 >"$root/srv/text"
  # The same content twice, and a file with a hole.
  cp "$root/usr/bin/busybox" "$root/srv/busybox-again"
  truncate -s 16M "$root/srv/hole"
  echo end >>"$root/srv/hole"
  find "$root" -exec touch -h -d "@$LAB_EPOCH" {} +
}

# random_bytes MIB: the same each time.
random_bytes() { head -c "${1}M" /dev/zero | openssl enc -aes-128-ctr -K "$(printf %032d 1)" -iv "$(printf %032d 1)"; }

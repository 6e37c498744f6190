# shellcheck shell=bash
# A Debian as one would make a template of: minbase, a cloud kernel, cloud-init, an SSH server; UEFI boots it by systemd-boot.
# From the Debian package sources of this machine, whatever they are. Part of make-image.

packages=(systemd-sysv systemd-boot udev dbus linux-image-cloud-amd64 initramfs-tools zstd e2fsprogs openssh-server cloud-init
  netplan.io iproute2 iputils-ping ca-certificates sudo less)

build_image() {
  local root=$LAB/root include
  include=$(IFS=,; echo "${packages[*]}")
  debian_sources >"$LAB/sources"
  mmdebstrap --variant=minbase --include="$include" $(proxy_options) \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --aptopt='APT::Sandbox::User "root"' \
    --essential-hook="cp -R '$LAB_HERE/debian/.' \"\$1/\"" --customize-hook="chroot \"\$1\" sh -eux <'$LAB_HERE/recipe/in-debian.sh'" \
    "$(release_name)" "$root" - <"$LAB/sources"
  rm -f "$root"/etc/apt/apt.conf.d/99mmdebstrap "$root"/etc/dpkg/dpkg.cfg.d/99mmdebstrap
  cp "$root"/boot/vmlinuz-* "$1/vmlinuz"
  cp "$root"/boot/initrd.img-* "$1/initrd.img"
  lay_out "$1/disk.img" 4096 128
  fill_root "$1/disk.img" "$root"
  boot_files "$root" "$1"
  fill_esp "$1/disk.img" "$LAB/esp"
}

# What `bootctl install` and kernel-install would put there.
boot_files() {
  mkdir -p "$LAB/esp/EFI/BOOT" "$LAB/esp/loader/entries"
  cp "$1/usr/lib/systemd/boot/efi/systemd-bootx64.efi" "$LAB/esp/EFI/BOOT/BOOTX64.EFI"
  cp "$2/vmlinuz" "$2/initrd.img" "$LAB/esp/"
  printf 'timeout 0\n' >"$LAB/esp/loader/loader.conf"
  printf 'title Debian\nlinux /vmlinuz\ninitrd /initrd.img\noptions root=LABEL=root ro console=ttyS0\n' \
    >"$LAB/esp/loader/entries/debian.conf"
}

release_name() { . /etc/os-release && echo "$VERSION_CODENAME"; }

# The machine's package sources that are Debian's own, as apt sees them.
debian_sources() {
  local lines
  lines=$(source_lines)
  [ -n "$lines" ] || { apt-get update -qq && lines=$(source_lines); }
  [ -n "$lines" ] || { echo "this machine has no Debian package source for $(release_name)" >&2; return 1; }
  echo "$lines"
}
source_lines() {
  apt-get indextargets --format '$(ORIGIN)|$(CREATED_BY)|$(CODENAME)|$(ARCHITECTURE)|$(REPO_URI)|$(COMPONENT)' |
    awk -F'|' -v release="$(release_name)" '$1 == "Debian" && $2 == "Packages" && $3 ~ "^" release && $4 == "amd64" {
      print "deb " $5 " " $3 " " $6 }' | sort -u
}

# The machine's own way out, if it has to take one.
proxy_options() {
  local scheme proxy
  for scheme in http https; do
    eval "$(apt-config shell proxy "Acquire::$scheme::Proxy")"
    [ -z "${proxy:-}" ] || printf -- '--aptopt=Acquire::%s::Proxy "%s"\n' "$scheme" "$proxy"
    proxy=
  done
}

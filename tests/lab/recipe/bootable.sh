# shellcheck shell=bash
# tiny, with a program that UEFI firmware starts from the disk. Part of make-image.
. "$LAB_HERE/recipe/tiny.sh"

build_image() {
  lay_out "$1/disk.img" 256 40
  tiny_root "$LAB/root"
  fill_root "$1/disk.img" "$LAB/root"
  tiny_esp "$LAB/esp"
  mkdir -p "$LAB/esp/EFI/BOOT"
  clang-19 --target=x86_64-unknown-windows -ffreestanding -fshort-wchar -mno-red-zone -O2 -Wall -Wextra -Werror \
    -c -o "$LAB/booted.o" "$LAB_HERE/uefi/booted.c"
  lld-link-19 /subsystem:efi_application /entry:efi_main /nodefaultlib "/out:$LAB/esp/EFI/BOOT/BOOTX64.EFI" "$LAB/booted.o"
  fill_esp "$1/disk.img" "$LAB/esp"
}

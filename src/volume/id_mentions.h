// Which files of an image mention ids (ids.h): the boot loader's configuration, fstab, the kernel's command line, whatever.
// Text files are edited in place, each id by one of the same length; what is not text (an initramfs, a boot loader's program
// with a built-in configuration) cannot be, and an image with such a mention keeps its ids.
//
// Looked through: /etc and /boot of every ext2/3/4, the top level and /grub, /loader, /extlinux, /EFI (a boot partition),
// and all of a FAT (an EFI system partition). Packed files are unpacked for the look.
// Memory: a file of at most 256 MiB where an image is packaged, of at most 4 MiB where ids are replaced.
//
// What Debian does: fstab and GRUB's configuration, in ext4 and, for UEFI, EFI/debian/grub.cfg on the ESP, name the root by
// UUID. The initramfs does not, but names a swap partition to resume from, which initramfs-tools finds by itself
// (conf/conf.d/zz-resume-auto). GRUB's core image has a UUID built in where grub-install left a load.cfg beside it.
#pragma once

#include <string>
#include <vector>

#include "src/base/error.h"
#include "src/volume/block_access.h"
#include "src/volume/ids.h"
#include "src/volume/inspect.h"

namespace stampede::volume {

// One more whenever the look begins to find what it did not: what an older one has said does not count then.
inline constexpr std::uint32_t kIdSearch = 1;

// Why the ids of the image cannot be changed, at most kMostReasons, each a phrase: "/boot/initrd.img of partition 1, which
// cannot be edited, mentions one". Empty: they can. Error: usage, where what is packed cannot be looked through here.
inline constexpr std::size_t kMostReasons = 16, kMostReason = 400;  // of so many bytes
Result<std::vector<std::string>> reasons_to_keep_ids(BlockAccess& blocks, const ImageFacts& facts);

// Edits every text that mentions one, durably, and looks again. Returns the paths; of files that are not in the root file
// system with "partition N: " before them. Errors: cannot_customise where a mention is left that cannot be edited; those of
// `blocks`.
Result<std::vector<std::string>> replace_ids(BlockAccess& blocks, const ImageFacts& facts, const NewIds& ids);

}  // namespace stampede::volume

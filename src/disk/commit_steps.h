// The order in which the commit region changes on the disk. Each step is flushed before the next one starts; within a step
// any of its sectors may have landed when the power goes, and a single sector is old or new.
//
// What makes a disk bootable: firmware, boot loaders and the kernel want a boot sector (LBA 0: signature 55 AA at byte 510;
// for GPT with an entry of type EE), and then, for GPT, a primary header (LBA 1) whose checksum and whose entries' checksum
// hold. OVMF takes the backup header (the last LBA) if the primary is damaged, and rebuilds the primary from it, again only
// behind a protective boot sector. sgdisk takes either header, boot sector or not.
//
// begin: the old disk is whole until it has no table.
//   mark            LBA 0 becomes the mark, and the backup header is zeroed if there is one. Whichever lands first:
//                   before the mark the old disk boots from its primary; with it the disk is ours, and no firmware and no
//                   kernel sees a table. sgdisk may still see the old one, whose data are still whole: the rest of the
//                   tail waits, since it may be the old last partition's.
//                   The marks of volume managers beyond the image's end (stale.h) are zeroed next: were they first, the old
//                   disk would still be whole to its owner; while the old primary header stands, a second run finds them.
//                   (An MBR goes with LBA 0: of its partitions a second run finds none.)
//   primary header  LBA 1 zeroed. From here on nobody sees a table. (Had it gone before LBA 0, an old MBR's entries or a
//                   hybrid one's would stand alone behind it.)
//   blank           The rest of the region.
// Steps that would write zeros over zeros are left out: on a blank disk the mark is all. It stays until commit's last step.
//
// commit: everything outside the region is durable and read back, so a table that is accepted is one of a complete disk.
//   rest            All but the first two sectors and the last one; the entries are there, but no header, hence no table.
//   headers         LBA 1 and the last sector, in any order: each has its entries. From here on sgdisk finds a table,
//                   which is right; firmware and kernel do not, for want of a boot sector. The caller reads everything
//                   back after this step.
//   boot sector     LBA 0, alone: one sector, from the mark to complete.
//
// At every moment after the first step of begin and before the last one of commit the guard knows the disk as an interrupted
// deployment. A disk below 8 KiB has no room for a deployment that is known again; there the mark is zeros.
#pragma once

#include <string_view>
#include <vector>

#include "src/disk/commit_region.h"
#include "src/disk/in_progress.h"

namespace stampede::disk {

struct Step {
  std::string_view name;  // "mark", …
  std::vector<Patch> patches;
};

struct StepsInput {
  Size disk;
  std::uint32_t sector = 512;
  InProgress record;
};

// `saved` is what the region holds on the disk, `content` what it shall hold.
std::vector<Step> begin_steps(const StepsInput& input, const CommitRegion& saved);
std::vector<Step> commit_steps(const StepsInput& input, const CommitRegion& content);

}  // namespace stampede::disk

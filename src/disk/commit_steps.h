// The order in which the commit region changes on the disk. Each step is flushed before the next one starts; within a step
// any of its sectors may have landed when the power goes, and a single sector is old or new.
//
// What makes a disk bootable: firmware, boot loaders and the kernel want a boot sector (LBA 0: signature 55 AA at byte 510;
// for GPT with an entry of type EE), and then, for GPT, a primary header (LBA 1) whose checksum and whose entries' checksum
// hold. OVMF takes the backup header (the last LBA) if the primary is damaged, and rebuilds the primary from it, again only
// behind a protective boot sector. sgdisk takes either header, boot sector or not.
//
// begin: the old disk is whole until it has no table.
//   backup header   Zeroed if there is one. The old disk still boots, from its primary; not a byte of its data has changed,
//                   which is why the rest of the tail waits: it may be the old last partition's.
//   mark            LBA 0 becomes the mark. From here on the disk is ours, and no firmware and no kernel sees a table.
//   sgdisk
//                   still sees the old one, whose data are still whole.
//   primary header  LBA 1 zeroed. From here on nobody sees a table. (Had it gone before LBA 0, an old MBR's entries or a
//                   hybrid one's would stand alone behind it.)
//   record          The in-progress record, over old entries.
//   blank           The rest of the region.
//   unmark          LBA 0 zeroed: the record says whose the disk is. Before it, the mark does.
//
// commit: everything outside the region is durable and read back, so a table that is accepted is one of a complete disk.
//   rest            All but the first 8 KiB and the last sector; no header, hence no table.
//   mark            LBA 0 becomes the mark, since the next step takes the record away.
//   entries         From LBA 2 to byte 8192.
//   backup header   The last sector. From here on sgdisk finds a table (and rebuilds the primary, if told to); firmware and
//                   kernel do not, for want of a boot sector. Its entries were flushed before: no torn table.
//   primary header  LBA 1. The caller reads everything back after this step.
//   boot sector     LBA 0, alone: one sector, from the mark to complete.
//
// At every moment after the first step of begin and before the last one of commit the guard knows the disk as an interrupted
// deployment. A disk below 8 KiB has no room for a record; there the mark is zeros.
#pragma once

#include <string_view>
#include <vector>

#include "src/disk/commit_region.h"
#include "src/disk/in_progress.h"

namespace stampede::disk {

struct Step {
  std::string_view name;  // "backup header", …
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

// The backup of a GPT that stands elsewhere than in the last sectors of the disk, as it does where an image has been written
// to a larger disk. (Its header: gpt_header.h.)
#pragma once

#include <optional>

#include "src/base/error.h"
#include "src/volume/block_access.h"

namespace stampede::volume {

struct OldBackup {
  Offset header, entries;
  Size header_size, entries_size;  // nothing where the entries do not lie between the partitions and the header
};

// Nothing if there is no GPT, or its backup is at the end. Error: those of `blocks`.
Result<std::optional<OldBackup>> find_old_backup(BlockAccess& blocks, std::uint32_t sector_size);

}  // namespace stampede::volume

// The header of a swap partition is its first page, which ends with "SWAPSPACE2". Behind 1024 bytes for a boot block,
// little-endian: u32 version = 1, u32 number of the last page, u32 count of bad pages, 16 bytes of UUID, 16 of label.
// (Linux: include/linux/swap.h, union swap_header.)
#pragma once

#include <string>
#include <vector>

#include "src/base/error.h"
#include "src/volume/ext4.h"

namespace stampede::volume {

// `uuid` in its 36 characters. Errors: cannot_customise where there is no swap space, or one of a suspended machine.
Result<> set_swap_uuid(BlockAccess& blocks, Offset at, const std::string& uuid);

// Its pages but the header, as far as the header counts them and they lie in `length`. Errors: as above; read_failed.
Result<std::vector<Range>> swapped_out(BlockAccess& blocks, Offset at, Size length);

}  // namespace stampede::volume

// The UUID of a swap partition: 16 bytes at byte 1036 of it, behind the boot block and three fields; the first page ends
// with "SWAPSPACE2". (Linux: include/linux/swap.h, union swap_header.)
#pragma once

#include <string>

#include "src/base/error.h"
#include "src/volume/block_access.h"

namespace stampede::volume {

// `uuid` in its 36 characters. Errors: cannot_customise where there is no swap space, or one of a suspended machine.
Result<> set_swap_uuid(BlockAccess& blocks, Offset at, const std::string& uuid);

}  // namespace stampede::volume

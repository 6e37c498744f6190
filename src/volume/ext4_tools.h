// What e2fsprogs does to an ext2/3/4 file system on a disk under construction. Its own programs, since libext2fs has neither
// growing nor the rewriting of every checksum that hangs on the UUID; they see the disk through ServedBlocks.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "src/base/error.h"
#include "src/volume/block_access.h"

namespace stampede::volume {

struct Ext4Change {
  bool grow = false;                // to the partition's end, by resize2fs
  std::optional<std::string> uuid;  // by tune2fs
};

// The file system that fills the partition at `at`. It is checked before (e2fsck -fp, which both tools want) and after
// (e2fsck -fn, of what the disk returns). Not safe against interruption: the disk must not be bootable meanwhile.
// Errors: write_failed with what the tool said; those of `blocks`; `interrupted` where `go_on` (run_tool.h) says so.
Result<> change_ext4(BlockAccess& blocks, Offset at, Size length, const Ext4Change& change,
                     const std::function<bool()>& go_on);

// Is what it needs on this machine? Error: cannot_customise.
Result<> check_ext4_tools();

}  // namespace stampede::volume

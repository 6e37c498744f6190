// Edits the partition table of a disk under construction, through libfdisk: it works on a copy in memory of the sectors
// where tables lie, and what it changed of them goes back through BlockAccess. So a table that is not on the disk yet (the
// commit region is held back) is edited like any other. libfdisk's home.
//
// Memory: the first MiB, the last 64 KiB, twice. Not thread-safe.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "src/base/error.h"
#include "src/volume/block_access.h"
#include "src/volume/inspect.h"

namespace stampede::volume {

struct TableEdit {
  std::uint32_t sector_size = 512;
  bool grow_last = false;  // the partition that ends last reaches to the disk's end, or as far as the table can say
  // Disk and partition ids as inspect() tells them, and what each becomes.
  std::map<std::string, std::string> ids;
};

struct TableEdited {
  std::string kind;                     // "gpt" or "dos"; empty: there is no table that libfdisk knows, and nothing was done
  bool moved = false;                   // the backup GPT stands at the disk's end now and did not before
  std::optional<PartitionFacts> grown;  // number, offset, and the new length
};

// Whatever the edit asks for, a GPT's backup comes to the last sectors of the disk, the last usable sector and the
// protective MBR with it, and the backup that was elsewhere is zeroed: it must not survive as a valid table. An MBR's or a
// GPT's table that needs no change is not written. Errors: cannot_customise where libfdisk refuses an edit; those of
// `blocks`.
Result<TableEdited> edit_table(BlockAccess& blocks, const TableEdit& edit);

// Can edit_table() grow the last partition of such an image? Error: cannot_customise, for a table-less image and for logical
// and extended partitions of an MBR.
Result<> check_growable(const ImageFacts& facts);
// The partition that ends last; null if there is none.
const PartitionFacts* last_partition(const ImageFacts& facts);

}  // namespace stampede::volume

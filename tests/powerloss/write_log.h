// Reads what a block device was told, in order: the log of the kernel's dm-log-writes and of QEMU's blklogwrites
// (Documentation/admin-guide/device-mapper/log-writes.rst; drivers/md/dm-log-writes.c). Little-endian. Sector 0:
//   0   8  magic 0x6a736677736872     8  8  version = 1     16  8  entries     24  4  sector size
// Each entry takes a sector of its own, and the sectors of its data follow it:
//   0   8  first sector     8  8  sectors     16  8  flags: 1 flush, 2 FUA, 4 discard, 8 mark     24  8  bytes of data that
//                                                           lie in the entry's own sector
// A discard has no data. The flush of an entry comes before its data.
#pragma once

#include <vector>

#include "src/base/file.h"

namespace stampede::powerloss {

struct Write {
  Offset at;
  Size length;
  Offset data;         // in the log
  bool zeros = false;  // a discard: it has none
};

// What was written between two flushes: none, some or all of it may be on the disk when the power goes before the second one
// has ended. Of FUA nothing is made, which allows more states than there are.
using Epoch = std::vector<Write>;

// Epochs without a write are left out. Errors: usage, where it is no such log or ends too early.
Result<std::vector<Epoch>> read_write_log(const File& log);

}  // namespace stampede::powerloss

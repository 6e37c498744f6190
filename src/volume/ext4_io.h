// libext2fs's I/O manager over BlockAccess. Not thread-safe; one Channel per file system.
#pragma once

#include <ext2fs/ext2_fs.h>
#include <ext2fs/ext2fs.h>

#include <optional>
#include <string>

#include "src/base/error.h"
#include "src/base/units.h"
#include "src/volume/block_access.h"

namespace stampede::volume {

// Where a file system's blocks are, and what became of reading and writing them.
struct Channel {
  BlockAccess* blocks = nullptr;
  Offset start;
  Size size;
  // Bytes that may still be read: a hostile file system can make libext2fs walk the same blocks for ever.
  std::uint64_t read_budget = 0;
  std::optional<Error> read_error;   // the first since it was last cleared
  std::optional<Error> write_error;  // the first ever: libext2fs is not trusted to pass each one on
};

// Opens a file system over `channel`, which must outlive it.
errcode_t open_over(Channel& channel, int flags, ext2_filsys* out);

// What libext2fs has complained of in this thread since the last call: it reports some damage in passing, through com_err,
// and goes on. Empty if nothing.
std::string take_complaint();

}  // namespace stampede::volume

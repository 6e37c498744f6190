// The sectors of a disk that a partition table lies in, as a file in memory of the disk's size: for libraries and programs
// that want a file. What is not copied reads as zeros there and takes no memory.
#pragma once

#include <vector>

#include "src/base/file.h"
#include "src/volume/block_access.h"

namespace stampede::volume {

class MemoryDisk {
 public:
  // `blocks` outlives it.
  static Result<MemoryDisk> make(BlockAccess& blocks);
  // Copies a part of the disk. Parts may not overlap. Nothing beyond the disk's end is copied.
  Result<> copy(Offset at, Size length);
  // Makes a range zeros, on the disk itself and in what was copied of it.
  Result<> zero(Offset at, Size length);
  // Writes what has changed in the copied parts back.
  Result<> write_back();

  const File& file() const { return file_; }

 private:
  MemoryDisk(BlockAccess& blocks, File file) : blocks_(&blocks), file_(std::move(file)) {}
  struct Part {
    Offset at;
    Bytes before;
  };
  BlockAccess* blocks_;
  File file_;
  std::vector<Part> parts_;
};

}  // namespace stampede::volume

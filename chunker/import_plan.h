// What of a raw image is read, and in which batches: holes (by SEEK_HOLE) and what is unspecified are gaps, what lies off
// the grid of blocks is apart. One thread at a time.
#pragma once

#include <optional>
#include <span>

#include "chunker/import_line.h"
#include "src/base/file.h"

namespace stampede::chunker {

class ImportPlan {
 public:
  // `unspecified` and `off_grid` in order, each apart.
  ImportPlan(const File& file, Size size, std::span<const Range> unspecified, std::span<const Range> off_grid);

  // The next batch's parts. Error: read_failed.
  Result<> next(ImportBatch& batch);
  // How much of what is unspecified the file stores; after the last batch.
  Size left_out() const { return left_out_; }

 private:
  using Stored = File::Stored;
  static std::vector<Stored> whole_blocks(std::span<const Range> ranges, Size size);
  // The part that begins at at_, of `room` bytes (whole blocks) at most if it is to be read.
  Result<ImportPart> part(Size room);
  // What lies off the grid there, or is next.
  const Range* next_off_grid();
  Result<ImportPart> gap(Offset end);
  // What is not a hole from there on, in whole blocks; empty at the end of the disk.
  Result<Stored> next_stored(Offset from);

  const File& file_;
  const Offset end_;
  const std::vector<Stored> unspecified_;  // in whole blocks
  std::size_t next_gap_ = 0;               // the first that ends after at_
  std::span<const Range> off_grid_;        // from the first that ends after at_ on
  bool apart_ = false;                     // so is the next part
  Offset at_;
  std::optional<Stored> stored_;  // the last answer
  Size left_out_;
};

}  // namespace stampede::chunker

// The commit region's layout and content: the parts of the disk by which firmware, boot loaders and partition tools take it
// for a disk of its own. While a disk is being written they are blank there, and what they shall hold is kept here.
#pragma once

#include <mutex>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/range.h"

namespace stampede::disk {

// Sorted, apart from each other: the first MiB, the last 64 KiB of the image, the last 64 KiB of the disk; grown to
// 4 KiB borders, but not beyond the disk's end. Empty for an empty disk.
std::vector<Range> commit_ranges(Size disk, Size image);

// Does one of them, as merged() gives them, hold all of it?
bool covers(const std::vector<Range>& ranges, Range wanted);

// Bytes at their place on the disk.
struct Patch {
  Offset at;
  Bytes bytes;
  Offset end() const { return at + Size{bytes.size()}; }
};

// All methods are thread-safe. Starts as zeros.
class CommitRegion {
 public:
  CommitRegion(Size disk, Size image);

  const std::vector<Range>& ranges() const { return ranges_; }

  struct Part {
    Range range;
    bool inside;
  };
  // The range cut where it enters and leaves the region, in order.
  std::vector<Part> split(Range range) const;

  // The bytes of a range that fall inside the region; the others are left alone.
  void write(Offset at, ByteView bytes);
  void zero(Range range);
  void read(Offset at, MutableBytes out) const;

  // Copies of what the region holds between the two offsets.
  std::vector<Patch> slice(Offset from, Offset to) const;

 private:
  template <class Visit>
  void visit(Range range, Visit&& each) const;

  const std::vector<Range> ranges_;
  mutable std::mutex mutex_;
  std::vector<Bytes> content_;  // one for each range
};

}  // namespace stampede::disk

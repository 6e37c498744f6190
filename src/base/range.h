// Ranges of bytes of a disk.
#pragma once

#include <vector>

#include "src/base/units.h"

namespace stampede {

struct Range {
  Offset at;
  Size length;
  constexpr Offset end() const { return at + length; }
  bool operator==(const Range&) const = default;
};

// Sorted, with what touches or overlaps made one, and without empty ones.
std::vector<Range> merged(std::vector<Range> ranges);
// What is left of ranges without others; both, and that, sorted and apart.
std::vector<Range> without(const std::vector<Range>& ranges, const std::vector<Range>& others);

}  // namespace stampede

// Where a partition table lies besides the ends of the disk: the entries of a GPT that were put elsewhere, and the boot
// records by which an MBR's logical partitions are chained.
#pragma once

#include <vector>

#include "src/base/file.h"
#include "src/disk/commit_region.h"

namespace stampede::disk {

// At most kMostLinks boot records and 1 MiB of entries, whole sectors inside the disk. Hostile or damaged tables give less.
inline constexpr std::size_t kMostLinks = 256;
std::vector<Range> table_ranges(const File& disk, Size size, std::uint32_t sector);

}  // namespace stampede::disk

// Files that do not lie on the 4 KiB grid of the disk. A FAT's clusters begin wherever its tables end, on a small EFI system
// partition at any sector: what is cut into chunks at blocks of the disk is never equal there to the same kernel in /boot.
#pragma once

#include <filesystem>
#include <vector>

#include "src/base/error.h"
#include "src/volume/fat.h"

namespace stampede::volume {

// Shorter pieces are not worth a cut of their own.
inline constexpr Size kLeastOffGrid = 64_KiB;

// The pieces of FAT's files that begin between blocks: whole sectors of 512 bytes, in order, apart. Of an image file or
// block device, which nobody writes meanwhile. A damaged table or file system has none, nor one whose files share clusters,
// nor partitions that overlap; of all together at most kMostFreeRanges (free_space.h). Memory: 32 bytes for each cluster of
// the FAT with most, at worst. Errors: usage, read_failed.
Result<std::vector<Range>> find_off_grid(const std::filesystem::path& path);
// The same of one FAT, which lies on `whole` bytes.
std::vector<Range> off_grid_of(const Fat& fat, Size whole);

}  // namespace stampede::volume

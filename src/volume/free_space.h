// What a disk holds that nobody would miss: free blocks, and what was swapped out. Whoever packages the disk leaves it out.
//
// Known are the free blocks of ext2/3/4 (by its block bitmaps), of FAT, of xfs, btrfs and ntfs (by partclone, where that is
// installed), the free extents of LVM physical volumes (by their metadata), and swap space behind its header. All of that
// only where it can be trusted: of a file system that was not unmounted, says of itself what does not agree, or is not
// understood, nothing is free. Nor is what lies outside partitions, within 1 MiB of either end of the disk, or in partitions
// that overlap; nor anything on a disk with dm-verity's hashes, which cover free blocks too.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "src/base/error.h"
#include "src/volume/ext4.h"

namespace stampede::volume {

// More than this of one partition are not kept: it is then taken whole. 16 bytes each.
inline constexpr std::size_t kMostFreeRanges = std::size_t{1} << 20;

struct FreeSpace {
  std::vector<Range> ranges;  // in order, apart from each other, within the disk; bytes, not aligned to anything
  // A line for each partition whose free space could be known but is not: which, and why.
  std::vector<std::string> taken_whole;
};

// Of an image file or block device, which nobody writes meanwhile. A damaged table or file system is not an error. `go_on`
// is asked where it takes long: false ends the call with `interrupted`. Errors: usage, read_failed.
Result<FreeSpace> find_free_space(const std::filesystem::path& path, const std::function<bool()>& go_on = {});

}  // namespace stampede::volume

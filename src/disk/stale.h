// What a volume manager left on the disk beyond the image's end: a partition that is grown or made there later would be
// taken for a member of a RAID, a volume group or a pool that is no more.
#pragma once

#include <string>
#include <vector>

#include "src/disk/commit_region.h"
#include "src/volume/inspect.h"

namespace stampede::disk {

struct Stale {
  std::string what;           // "zfs_member 'tank' in partition 3"
  std::vector<Range> ranges;  // to be zeroed: at most 1 MiB at each end of where it was found
  bool operator==(const Stale&) const = default;
};

// Of `found` (in the order of the disk) the members that reach beyond the image. Pure.
std::vector<Stale> find_stale(const std::vector<volume::Found>& found, Size disk, Size image);

}  // namespace stampede::disk

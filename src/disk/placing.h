// From placements to transfers: what one slab's chunks become on their way to the disk. Pure.
#pragma once

#include <span>
#include <vector>

#include "src/disk/commit_region.h"
#include "src/disk/target.h"

namespace stampede::disk {

// A write of neighbouring whole blocks, from the slab.
struct PlannedWrite {
  Offset at;
  MutableBytes bytes;
};

// What O_DIRECT cannot write as it lies: it is not of whole blocks, as where a chunk of a FAT's file ends and blocks are
// larger than its sectors, or does not lie so in memory.
struct PlannedCopy {
  Offset at;
  ByteView bytes;
};

struct Plan {
  std::vector<PlannedWrite> writes;  // outside the commit region; by offset
  std::vector<PlannedCopy> copied;   // the same
  Size placed;                       // all bytes, the commit region's too
};

struct PlanInput {
  Size disk;
  std::uint32_t alignment = 4096;
  MutableBytes slab;
};

// Puts what falls inside the commit region there, and joins what is adjacent in the slab and on the disk into writes of at
// most kSlab. Error: internal, for a placement beyond the disk's end.
Result<Plan> plan_placements(const PlanInput& input, std::span<const Placement> placements, CommitRegion& region);

}  // namespace stampede::disk

// From placements to transfers: what one slab's chunks become on their way to the disk. Pure.
#pragma once

#include <span>
#include <vector>

#include "src/disk/aligned.h"
#include "src/disk/commit_region.h"
#include "src/disk/target.h"

namespace stampede::disk {

// A write of neighbouring bytes.
struct PlannedWrite {
  Offset at;
  MutableBytes bytes;
  bool in_slab = true;
};

// Less than a block, which has to be read and written back: at the ends of what a FAT's file has, where blocks are larger
// than its sectors.
struct PlannedEdge {
  Offset at;
  ByteView bytes;
};

struct Plan {
  std::vector<PlannedWrite> writes;    // outside the commit region; by offset
  std::vector<AlignedMemory> bounced;  // what `writes` of bytes outside the slab point into
  std::vector<PlannedEdge> edges;      // the same, into the slab; no write has anything of their blocks
  Size placed;                         // all bytes, the commit region's too
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

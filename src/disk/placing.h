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

struct Plan {
  std::vector<PlannedWrite> writes;    // outside the commit region; by offset
  std::vector<AlignedMemory> bounced;  // what `writes` of bytes outside the slab point into
  Size placed;                         // all bytes, the commit region's too
};

struct PlanInput {
  Size disk;
  std::uint32_t alignment = 4096;
  MutableBytes slab;
};

// Puts what falls inside the commit region there, and joins what is adjacent in the slab and on the disk into writes of at
// most kSlab. Errors, all internal: a placement beyond the disk's end, or at an offset that O_DIRECT cannot write.
Result<Plan> plan_placements(const PlanInput& input, std::span<const Placement> placements, CommitRegion& region);

}  // namespace stampede::disk

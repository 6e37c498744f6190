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

// Bytes that are no whole blocks by themselves, as where a chunk of a FAT's file ends and blocks are larger than its
// sectors, or that lie otherwise in memory than O_DIRECT wants.
struct PlannedCopy {
  Offset at;
  ByteView bytes;
};

// Whole blocks of such bytes, kSlab at most: to be put together in memory, one part after the other, and written from there.
struct PlannedGather {
  Offset at;
  Size length;
  std::vector<PlannedCopy> parts;
};

struct Plan {
  std::vector<PlannedWrite> writes;     // outside the commit region; by offset
  std::vector<PlannedGather> gathered;  // the same
  std::vector<PlannedCopy> copied;      // the rest: of each block that others have a part of
  Size placed;                          // all bytes, the commit region's too
};

struct PlanInput {
  Size disk;
  std::uint32_t alignment = 4096;
  MutableBytes slab;
};

// Puts what falls inside the commit region there, and joins what is adjacent in the slab and on the disk into writes of at
// most kSlab. No block is in two of the plan's writes and gathers, nor in one of them and in a copy; but a block that two
// chunks share, which only gathers and copies have, another slab's plan may hold too, or a part of it: block_turns.h. Error:
// internal, for a placement beyond the disk's end.
Result<Plan> plan_placements(const PlanInput& input, std::span<const Placement> placements, CommitRegion& region);

}  // namespace stampede::disk

#include "src/disk/placing.h"

#include <algorithm>

namespace stampede::disk {

namespace {

bool lies_in(ByteView bytes, ByteView slab) {
  return std::greater_equal<>{}(bytes.data(), slab.data()) &&
         std::less_equal<>{}(bytes.data() + bytes.size(), slab.data() + slab.size());
}

// A part of a chunk as a write: from the slab itself where O_DIRECT can take it from there, else from a copy.
PlannedWrite as_write(const PlanInput& input, Offset at, ByteView bytes, std::vector<AlignedMemory>& bounced) {
  const bool aligned = reinterpret_cast<std::uintptr_t>(bytes.data()) % input.alignment == 0;
  if (aligned && lies_in(bytes, input.slab)) {
    const auto from = static_cast<std::size_t>(bytes.data() - input.slab.data());
    return {at, input.slab.subspan(from, bytes.size()), true};
  }
  const MutableBytes copied = bounced.emplace_back(bytes.size()).bytes();
  std::memcpy(copied.data(), bytes.data(), bytes.size());
  return {at, copied, false};
}

bool adjacent(const PlannedWrite& a, const PlannedWrite& b) {
  return a.in_slab && b.in_slab && a.at + Size{a.bytes.size()} == b.at && a.bytes.data() + a.bytes.size() == b.bytes.data();
}

void join_neighbours(std::vector<PlannedWrite>& writes) {
  std::ranges::sort(writes, {}, &PlannedWrite::at);
  std::vector<PlannedWrite> joined;
  for (const PlannedWrite& write : writes) {
    if (joined.empty() || !adjacent(joined.back(), write))
      joined.push_back(write);
    else
      joined.back().bytes = {joined.back().bytes.data(), joined.back().bytes.size() + write.bytes.size()};
  }
  writes = std::move(joined);
}

}  // namespace

Result<Plan> plan_placements(const PlanInput& input, std::span<const Placement> placements, CommitRegion& region) {
  Plan plan;
  for (const Placement& placement : placements) {
    const ByteView bytes = placement.chunk.bytes();
    if (placement.at.bytes > input.disk.bytes || bytes.size() > input.disk.bytes - placement.at.bytes)
      return fail(Code::internal, "chunk {} at byte {} is beyond the disk's end at {}", to_string(placement.chunk.id()),
                  placement.at.bytes, input.disk.bytes);
    for (const auto& part : region.split({placement.at, {bytes.size()}})) {
      const ByteView piece = bytes.subspan((part.range.at - placement.at).bytes, part.range.length.bytes);
      if (part.inside) {
        region.write(part.range.at, piece);
        continue;
      }
      // The image's and the disk's last bytes, which may be less than a block, are in the commit region.
      if (part.range.at.bytes % input.alignment != 0 || piece.size() % input.alignment != 0)
        return fail(Code::internal, "chunk {} at byte {} does not lie on blocks of {} bytes",
                    to_string(placement.chunk.id()), placement.at.bytes, input.alignment);
      plan.writes.push_back(as_write(input, part.range.at, piece, plan.bounced));
    }
    plan.placed += Size{bytes.size()};
  }
  join_neighbours(plan.writes);
  return plan;
}

}  // namespace stampede::disk

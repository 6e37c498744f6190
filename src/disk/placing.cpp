#include "src/disk/placing.h"

#include <algorithm>

namespace stampede::disk {

namespace {

bool lies_in(ByteView bytes, ByteView slab) {
  return std::greater_equal<>{}(bytes.data(), slab.data()) &&
         std::less_equal<>{}(bytes.data() + bytes.size(), slab.data() + slab.size());
}

// A part of a chunk: its whole blocks as a write where O_DIRECT can take them from the slab, all else to be copied. A block
// that two chunks share is no write of either, or one could undo what the other wrote at the same time.
void add(const PlanInput& input, Offset at, ByteView bytes, Plan& plan) {
  const Offset end = at + Size{bytes.size()};
  const Offset first{round_up(at.bytes, input.alignment)}, last{round_down(end.bytes, input.alignment)};
  const auto part = [&](Offset from, Offset to) { return bytes.subspan((from - at).bytes, (to - from).bytes); };
  const bool taken = first < last && lies_in(bytes, input.slab) &&
                     reinterpret_cast<std::uintptr_t>(part(first, last).data()) % input.alignment == 0;
  if (!taken) return plan.copied.push_back({at, bytes});
  const auto from = static_cast<std::size_t>(part(first, last).data() - input.slab.data());
  plan.writes.push_back({first, input.slab.subspan(from, (last - first).bytes)});
  if (at < first) plan.copied.push_back({at, part(at, first)});
  if (last < end) plan.copied.push_back({last, part(last, end)});
}

bool adjacent(const PlannedWrite& a, const PlannedWrite& b) {
  return a.at + Size{a.bytes.size()} == b.at && a.bytes.data() + a.bytes.size() == b.bytes.data();
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
      add(input, part.range.at, piece, plan);
    }
    plan.placed += Size{bytes.size()};
  }
  join_neighbours(plan.writes);
  return plan;
}

}  // namespace stampede::disk

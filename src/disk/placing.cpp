#include "src/disk/placing.h"

#include <algorithm>
#include <utility>

namespace stampede::disk {

namespace {

bool lies_in(ByteView bytes, ByteView slab) {
  return std::greater_equal<>{}(bytes.data(), slab.data()) &&
         std::less_equal<>{}(bytes.data() + bytes.size(), slab.data() + slab.size());
}

bool is_aligned(const PlanInput& input, const PlannedCopy& piece) {
  return piece.at.bytes % input.alignment == 0 && piece.bytes.size() % input.alignment == 0 &&
         reinterpret_cast<std::uintptr_t>(piece.bytes.data()) % input.alignment == 0 && lies_in(piece.bytes, input.slab);
}

Offset end_of(const PlannedCopy& piece) { return piece.at + Size{piece.bytes.size()}; }

// By offset; what is adjacent in memory too is one, but for blocks that two chunks share.
void join_neighbours(std::vector<PlannedCopy>& pieces, std::uint32_t alignment) {
  std::ranges::sort(pieces, {}, &PlannedCopy::at);
  std::vector<PlannedCopy> joined;
  for (const PlannedCopy& piece : pieces) {
    if (joined.empty() || end_of(joined.back()) != piece.at || piece.at.bytes % alignment != 0 ||
        joined.back().bytes.data() + joined.back().bytes.size() != piece.bytes.data())
      joined.push_back(piece);
    else
      joined.back().bytes = {joined.back().bytes.data(), joined.back().bytes.size() + piece.bytes.size()};
  }
  pieces = std::move(joined);
}

// Pieces that follow one another on the disk.
void add_run(const PlanInput& input, std::span<const PlannedCopy> run, Plan& plan) {
  const Offset begin = run.front().at, end = end_of(run.back());
  const Offset first{round_up(begin.bytes, input.alignment)}, last{round_down(end.bytes, input.alignment)};
  const auto cut = [&](Offset from, Offset to, std::vector<PlannedCopy>& out) {
    for (const PlannedCopy& piece : run) {
      const Offset at = std::max(from, piece.at), until = std::min(to, end_of(piece));
      if (at < until) out.push_back({at, piece.bytes.subspan((at - piece.at).bytes, (until - at).bytes)});
    }
  };
  if (first >= last) return cut(begin, end, plan.copied);
  cut(begin, first, plan.copied);
  cut(last, end, plan.copied);
  for (Offset at = first; at < last; at += kSlab) {
    PlannedGather& gather = plan.gathered.emplace_back(at, std::min(kSlab, last - at));
    cut(at, at + gather.length, gather.parts);
  }
}

}  // namespace

Result<Plan> plan_placements(const PlanInput& input, std::span<const Placement> placements, CommitRegion& region) {
  Plan plan;
  std::vector<PlannedCopy> pieces;
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
      pieces.push_back({part.range.at, piece});
    }
    plan.placed += Size{bytes.size()};
  }
  join_neighbours(pieces, input.alignment);
  std::vector<PlannedCopy> run;
  const auto end_run = [&] {
    if (!run.empty()) add_run(input, std::exchange(run, {}), plan);
  };
  for (const PlannedCopy& piece : pieces) {
    if (!run.empty() && end_of(run.back()) != piece.at) end_run();
    if (is_aligned(input, piece)) {
      end_run();
      const auto from = static_cast<std::size_t>(piece.bytes.data() - input.slab.data());
      plan.writes.push_back({piece.at, input.slab.subspan(from, piece.bytes.size())});
    } else {
      run.push_back(piece);
    }
  }
  end_run();
  return plan;
}

}  // namespace stampede::disk

#include "src/disk/placing.h"

#include <algorithm>

namespace stampede::disk {

namespace {

// Bytes that go to one range of the disk.
struct Piece {
  Offset at;
  ByteView bytes;
  Offset end() const { return at + Size{bytes.size()}; }
};

bool lies_in(ByteView bytes, ByteView slab) {
  return std::greater_equal<>{}(bytes.data(), slab.data()) &&
         std::less_equal<>{}(bytes.data() + bytes.size(), slab.data() + slab.size());
}

std::vector<Piece> join_neighbours(const PlanInput& input, std::vector<Piece> pieces) {
  std::ranges::sort(pieces, {}, &Piece::at);
  std::vector<Piece> joined;
  for (const Piece& piece : pieces) {
    Piece* const before = joined.empty() ? nullptr : &joined.back();
    const bool adjacent = before != nullptr && before->end() == piece.at &&
                          before->bytes.data() + before->bytes.size() == piece.bytes.data() &&
                          lies_in(before->bytes, input.slab) && lies_in(piece.bytes, input.slab);
    if (adjacent)
      before->bytes = {before->bytes.data(), before->bytes.size() + piece.bytes.size()};
    else
      joined.push_back(piece);
  }
  return joined;
}

// Whole blocks as a write: from the slab itself where O_DIRECT can take it from there, else from a copy.
PlannedWrite as_write(const PlanInput& input, const Piece& piece, std::vector<AlignedMemory>& bounced) {
  const bool aligned = reinterpret_cast<std::uintptr_t>(piece.bytes.data()) % input.alignment == 0;
  if (aligned && lies_in(piece.bytes, input.slab)) {
    const auto from = static_cast<std::size_t>(piece.bytes.data() - input.slab.data());
    return {piece.at, input.slab.subspan(from, piece.bytes.size()), true};
  }
  const MutableBytes copied = bounced.emplace_back(piece.bytes.size()).bytes();
  std::memcpy(copied.data(), piece.bytes.data(), piece.bytes.size());
  return {piece.at, copied, false};
}

void add(const PlanInput& input, const Piece& piece, Plan& plan) {
  const Offset first = std::min(Offset{round_up(piece.at.bytes, input.alignment)}, piece.end());
  const Offset last = std::max(first, Offset{round_down(piece.end().bytes, input.alignment)});
  const auto part = [&](Offset from, Offset to) {
    return Piece{from, piece.bytes.subspan((from - piece.at).bytes, (to - from).bytes)};
  };
  if (piece.at < first) plan.edges.push_back({piece.at, part(piece.at, first).bytes});
  if (first < last) plan.writes.push_back(as_write(input, part(first, last), plan.bounced));
  if (last < piece.end()) plan.edges.push_back({last, part(last, piece.end()).bytes});
}

}  // namespace

Result<Plan> plan_placements(const PlanInput& input, std::span<const Placement> placements, CommitRegion& region) {
  Plan plan;
  std::vector<Piece> pieces;
  for (const Placement& placement : placements) {
    const ByteView bytes = placement.chunk.bytes();
    if (placement.at.bytes > input.disk.bytes || bytes.size() > input.disk.bytes - placement.at.bytes)
      return fail(Code::internal, "chunk {} at byte {} is beyond the disk's end at {}", to_string(placement.chunk.id()),
                  placement.at.bytes, input.disk.bytes);
    for (const auto& part : region.split({placement.at, {bytes.size()}})) {
      const ByteView piece = bytes.subspan((part.range.at - placement.at).bytes, part.range.length.bytes);
      if (part.inside)
        region.write(part.range.at, piece);
      else
        pieces.push_back({part.range.at, piece});
    }
    plan.placed += Size{bytes.size()};
  }
  for (const Piece& piece : join_neighbours(input, std::move(pieces))) add(input, piece, plan);
  return plan;
}

}  // namespace stampede::disk

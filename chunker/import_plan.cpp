#include "chunker/import_plan.h"

#include <algorithm>

namespace stampede::chunker {
namespace {

// There could be any number of gaps without data between them.
constexpr std::size_t kMostParts = 4096;

}  // namespace

ImportPlan::ImportPlan(const File& file, Size size, std::span<const Range> unspecified, std::span<const Range> off_grid)
    : file_(file), end_{size.bytes}, unspecified_(whole_blocks(unspecified, size)), off_grid_(off_grid) {}

// The disk's last block may be a short one.
std::vector<ImportPlan::Stored> ImportPlan::whole_blocks(std::span<const Range> ranges, Size size) {
  std::vector<Stored> out;
  for (const Range& range : ranges) {
    const Offset begin{std::max(round_up(range.at.bytes, kBlock.bytes), out.empty() ? 0 : out.back().end.bytes)};
    const Offset end =
        range.end().bytes >= size.bytes ? Offset{size.bytes} : Offset{round_down(range.end().bytes, kBlock.bytes)};
    if (begin < end) out.push_back({begin, end});
  }
  return out;
}

Result<> ImportPlan::next(ImportBatch& batch) {
  Size room = kImportBatch;
  while (at_ < end_ && room > Size{} && batch.parts.size() < kMostParts) {
    STAMPEDE_TRY(const ImportPart next, part(room));
    if (next.kind == ExtentKind::data) room -= Size{round_up(next.length.bytes, kBlock.bytes)};
    at_ += next.length;
    if (next.length > Size{}) batch.parts.push_back(next);
  }
  batch.end = at_;
  batch.last = at_ == end_;
  return {};
}

Result<ImportPart> ImportPlan::part(Size room) {
  if (next_gap_ < unspecified_.size() && unspecified_[next_gap_].begin <= at_) return gap(unspecified_[next_gap_++].end);
  Offset limit = next_gap_ < unspecified_.size() ? unspecified_[next_gap_].begin : end_;
  const auto off_grid = next_off_grid();
  if (off_grid != nullptr && off_grid->at <= at_) {
    // Holes in it would begin and end between its blocks: it is read.
    const Offset end = std::min(off_grid->end(), limit);
    const ImportPart whole{ExtentKind::data, at_, std::min(end - at_, room), apart_ || off_grid->at == at_};
    apart_ = at_ + whole.length == end;
    return whole;
  }
  if (off_grid != nullptr) limit = std::min(limit, off_grid->at);
  const bool between = at_.bytes % kBlock.bytes != 0;  // until the next block
  if (between) limit = std::min(limit, Offset{round_up(at_.bytes, kBlock.bytes)});
  STAMPEDE_TRY(const Stored stored, next_stored(at_));
  if (stored.begin > at_) return ImportPart{ExtentKind::zero, at_, std::min(stored.begin, limit) - at_};
  const ImportPart part{ExtentKind::data, at_, std::min({stored.end - at_, limit - at_, room}), apart_};
  apart_ = between;
  return part;
}

const Range* ImportPlan::next_off_grid() {
  while (!off_grid_.empty() && off_grid_.front().end() <= at_) off_grid_ = off_grid_.subspan(1);
  return off_grid_.empty() ? nullptr : off_grid_.data();
}

Result<ImportPart> ImportPlan::gap(Offset end) {
  for (Offset at = at_; at < end;) {
    STAMPEDE_TRY(const Stored stored, next_stored(at));
    const Offset until = std::min(stored.end, end);
    if (stored.begin < until) left_out_ += until - stored.begin;
    at = until;
  }
  return ImportPart{ExtentKind::unspecified, at_, end - at_};
}

Result<ImportPlan::Stored> ImportPlan::next_stored(Offset from) {
  if (stored_ && from >= stored_->begin && from < stored_->end) return Stored{from, stored_->end};
  STAMPEDE_TRY(Stored stored, file_.next_stored(from, end_));
  // The ends of holes depend on the file system; what is cut must not. A hole up to the disk's end stays one, also where
  // that lies inside a block.
  if (stored.begin < stored.end)
    stored = {{std::max(from.bytes, round_down(stored.begin.bytes, kBlock.bytes))},
              std::min(Offset{round_up(stored.end.bytes, kBlock.bytes)}, end_)};
  return *(stored_ = stored);
}

}  // namespace stampede::chunker

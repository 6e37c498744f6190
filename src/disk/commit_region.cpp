#include "src/disk/commit_region.h"

#include <algorithm>
#include <utility>

#include "src/disk/target.h"

namespace stampede::disk {

namespace {
constexpr std::uint64_t kGrain = 4096;
}

std::vector<Range> commit_ranges(Size disk, Size image) {
  const auto tail = [](Size end) { return end.bytes - std::min(end.bytes, kCommitTail.bytes); };
  const std::uint64_t image_end = std::min(image.bytes, disk.bytes);
  std::vector<Range> ranges;
  const auto add = [&](std::uint64_t begin, std::uint64_t end) {
    const std::uint64_t from = round_down(begin, kGrain);
    const std::uint64_t to = std::min(round_up(end, kGrain), disk.bytes);
    if (from < to) ranges.push_back({{from}, {to - from}});
  };
  add(0, kCommitHead.bytes);
  add(tail({image_end}), image_end);
  add(tail(disk), disk.bytes);
  return merged(std::move(ranges));
}

bool covers(const std::vector<Range>& ranges, Range wanted) {
  return std::ranges::any_of(ranges,
                             [&](const Range& range) { return range.at <= wanted.at && wanted.end() <= range.end(); });
}

CommitRegion::CommitRegion(Size disk, Size image) : ranges_(commit_ranges(disk, image)) {
  for (const Range& range : ranges_) content_.emplace_back(range.length.bytes);
}

std::vector<CommitRegion::Part> CommitRegion::split(Range range) const {
  std::vector<Part> parts;
  Offset at = range.at;
  for (const Range& held : ranges_) {
    const Offset from = std::max(at, held.at);
    const Offset to = std::min(range.end(), held.end());
    if (from >= to) continue;
    if (from > at) parts.push_back({{at, from - at}, false});
    parts.push_back({{from, to - from}, true});
    at = to;
  }
  if (at < range.end()) parts.push_back({{at, range.end() - at}, false});
  return parts;
}

// Calls each(range index, offset in it, offset in `range`, size) for what overlaps.
template <class Visit>
void CommitRegion::visit(Range range, Visit&& each) const {
  for (std::size_t i = 0; i < ranges_.size(); ++i) {
    const Offset from = std::max(range.at, ranges_[i].at);
    const Offset to = std::min(range.end(), ranges_[i].end());
    if (from < to) each(i, (from - ranges_[i].at).bytes, (from - range.at).bytes, (to - from).bytes);
  }
}

void CommitRegion::write(Offset at, ByteView bytes) {
  const std::scoped_lock lock(mutex_);
  visit({at, {bytes.size()}}, [&](std::size_t i, std::uint64_t here, std::uint64_t there, std::uint64_t size) {
    std::memcpy(content_[i].data() + here, bytes.data() + there, size);
  });
}

void CommitRegion::zero(Range range) {
  const std::scoped_lock lock(mutex_);
  visit(range, [&](std::size_t i, std::uint64_t here, std::uint64_t, std::uint64_t size) {
    std::memset(content_[i].data() + here, 0, size);
  });
}

void CommitRegion::read(Offset at, MutableBytes out) const {
  const std::scoped_lock lock(mutex_);
  visit({at, {out.size()}}, [&](std::size_t i, std::uint64_t here, std::uint64_t there, std::uint64_t size) {
    std::memcpy(out.data() + there, content_[i].data() + here, size);
  });
}

std::vector<Patch> CommitRegion::slice(Offset from, Offset to) const {
  std::vector<Patch> patches;
  if (from >= to) return patches;
  const std::scoped_lock lock(mutex_);
  visit({from, to - from}, [&](std::size_t i, std::uint64_t here, std::uint64_t there, std::uint64_t size) {
    patches.push_back({from + Size{there}, copy(ByteView(content_[i]).subspan(here, size))});
  });
  return patches;
}

}  // namespace stampede::disk

#include "src/service/stream_cuts.h"

#include <algorithm>

namespace stampede::service {

namespace {

std::uint32_t end_of(const wire::ChunkRun& run) { return std::uint32_t{run.first} + run.count; }

// Joined where they touch.
std::vector<wire::ChunkRun> united(std::vector<wire::ChunkRun> runs) {
  std::ranges::sort(runs, {}, &wire::ChunkRun::first);
  std::vector<wire::ChunkRun> out;
  for (const wire::ChunkRun& run : runs) {
    if (out.empty() || run.first > end_of(out.back()))
      out.push_back(run);
    else
      out.back().count = static_cast<std::uint16_t>(std::max(end_of(out.back()), end_of(run)) - out.back().first);
  }
  return out;
}

bool covers(const std::vector<wire::ChunkRun>& sent, std::span<const wire::ChunkRun> lacks) {
  const auto is_sent = [&](const wire::ChunkRun& lack) {
    return std::ranges::any_of(
        sent, [&](const wire::ChunkRun& run) { return run.first <= lack.first && end_of(lack) <= end_of(run); });
  };
  return std::ranges::all_of(lacks, is_sent);
}

}  // namespace

void StreamCuts::decide(std::uint32_t span, const std::vector<const net::PartialSpans*>& lacking) {
  if (!decided_.set(span)) return;
  std::vector<wire::ChunkRun> all;
  for (const net::PartialSpans* const one : lacking) {
    const auto runs = one->lacks_of(span);
    if (runs.empty()) return;
    all.insert(all.end(), runs.begin(), runs.end());
  }
  if (!all.empty()) cut_.emplace(span, united(std::move(all)));
}

net::PartialSpans StreamCuts::of(std::uint32_t span) const {
  const auto found = cut_.find(span);
  return found == cut_.end() ? net::PartialSpans() : net::PartialSpans(found->second);
}

std::vector<std::uint32_t> StreamCuts::too_little_for(const net::PartialSpans& parts, const Bitmap& have) const {
  std::vector<std::uint32_t> out;
  for (const auto& [span, sent] : cut_) {
    if (have.test(span)) continue;
    const auto lacks = parts.lacks_of(span);
    if (lacks.empty() || !covers(sent, lacks)) out.push_back(span);
  }
  return out;
}

}  // namespace stampede::service

#include "transport/net/partial_spans.h"

#include <algorithm>
#include <ranges>

namespace stampede::net {

namespace {

using chunker::SealedSpan;

// The parts that a holder of the others lacks; all of them where nothing is known.
std::vector<bool> wanted_parts(std::span<const wire::ChunkRun> runs, std::size_t parts) {
  std::vector<bool> wanted(parts, runs.empty());
  for (const wire::ChunkRun& run : runs)
    for (std::size_t i = run.first; i < std::min<std::size_t>(parts, std::size_t{run.first} + run.count); ++i)
      wanted[i] = true;
  return wanted;
}

std::shared_ptr<const SealedSpan> copy_parts(const SealedSpan& span, const std::vector<bool>& wanted) {
  auto out = std::make_shared<SealedSpan>();
  out->index = span.index;
  Bytes bytes;
  ByteView rest = span.bytes;
  for (std::size_t i = 0; i < span.parts.size(); ++i) {
    const SealedSpan::Part& part = span.parts[i];
    out->parts.push_back({part.codec, wanted[i] ? part.sealed_size : 0});
    const ByteView sealed = rest.first(part.sealed_size);
    if (wanted[i]) bytes.insert(bytes.end(), sealed.begin(), sealed.end());
    rest = rest.subspan(part.sealed_size);
  }
  out->bytes = Buffer(ByteView(bytes));
  return out;
}

}  // namespace

std::span<const wire::ChunkRun> PartialSpans::lacks_of(std::uint32_t span) const {
  return std::ranges::equal_range(lacks_, span, {}, &wire::ChunkRun::span);
}

bool PartialSpans::are_enough(std::uint32_t span, std::span<const wire::SpanPart> parts) const {
  const auto wanted = wanted_parts(lacks_of(span), parts.size());
  for (std::size_t i = 0; i < parts.size(); ++i)
    if (wanted[i] && parts[i].sealed_size == 0) return false;
  return true;
}

std::shared_ptr<const SealedSpan> PartialSpans::cut(std::shared_ptr<const SealedSpan> span) const {
  if (!span) return span;
  const auto wanted = wanted_parts(lacks_of(span->index.value), span->parts.size());
  bool smaller = false;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const bool there = span->parts[i].sealed_size > 0;
    if (wanted[i] && !there) return nullptr;
    smaller = smaller || wanted[i] != there;
  }
  return smaller ? copy_parts(*span, wanted) : span;
}

}  // namespace stampede::net

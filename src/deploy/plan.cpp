#include "src/deploy/plan.h"

#include <algorithm>
#include <cstdlib>

namespace stampede::deploy {

namespace {

std::size_t count(const chunker::Manifest& manifest, chunker::RecordKind kind) {
  std::size_t count = 0;
  for (const auto& segment : manifest.segments)
    count += static_cast<std::size_t>(std::ranges::count(segment.records, kind, &chunker::Record::kind));
  return count;
}

}  // namespace

Plan::Plan(chunker::Manifest manifest) {
  using enum chunker::RecordKind;
  const std::size_t chunks = count(manifest, data), repeats = count(manifest, repeat);
  spans_.reserve(manifest.root.span_count());
  first_.reserve(manifest.root.span_count());
  repeats_.reserve(repeats);
  places_.reserve(chunks + repeats);
  zeros_.reserve(count(manifest, zero));
  numbers_ = chunker::ChunkTable(chunks);
  for (auto& segment : manifest.segments) {
    add_spans(chunker::spans_of(segment));
    add_records(segment);
    segment = {};
  }
  fingerprints_.resize(chunks);
  held_.resize(chunks);
  std::ranges::sort(repeats_);
}

void Plan::add_spans(std::vector<chunker::Span> spans) {
  for (auto& span : spans) {
    first_.push_back(first_.empty() ? 0 : first_.back() + spans_.back().chunks.size());
    spans_.push_back(std::move(span));
    for (std::uint32_t i = 0; i < spans_.back().chunks.size(); ++i)
      numbers_.insert(spans_.back().chunks[i].id, static_cast<std::uint32_t>(first_.back() + i), IdOf{*this});
  }
}

// Its data records are its spans' chunks, in the same order.
void Plan::add_records(const chunker::Segment& segment) {
  Offset at = segment.offset;
  for (const auto& record : segment.records) {
    if (record.kind == chunker::RecordKind::zero) add_zeros(at, record.length);
    if (is_data(record.kind)) {
      const ChunkIndex chunk = *find(record.chunk);  // the manifest was checked: it is named by a data record
      places_.push_back({chunk, at, record.length});
      data_ += record.length;
      if (record.kind == chunker::RecordKind::repeat) repeats_.push_back({chunk, at});
    }
    at += record.length;
  }
}

void Plan::add_zeros(Offset at, Size length) {
  if (!zeros_.empty() && zeros_.back().offset + zeros_.back().length == at)
    zeros_.back().length += length;
  else
    zeros_.push_back({at, length, chunker::ExtentKind::zero});
}

ChunkIndex Plan::index_of(std::uint32_t number) const {
  const auto span = static_cast<std::uint32_t>(std::ranges::upper_bound(first_, number) - first_.begin() - 1);
  return {{span}, static_cast<std::uint32_t>(number - first_[span])};
}

std::optional<ChunkIndex> Plan::find(const chunker::ChunkId& id) const {
  const auto number = numbers_.find(id, IdOf{*this});
  return number ? std::optional(index_of(*number)) : std::nullopt;
}

std::span<const Plan::Repeat> Plan::repeats_of(ChunkIndex index) const {
  const auto found = std::ranges::equal_range(repeats_, index, {}, &Repeat::chunk);
  return {found.begin(), found.end()};
}

void Plan::add_placements(const chunker::VerifiedChunk& verified, ChunkIndex index,
                          std::vector<disk::Placement>& out) const {
  for_places(index, [&](Offset at) { out.push_back({verified, at}); });
}

Size Plan::placed_size(ChunkIndex index) const { return {chunk(index).length * (1 + repeats_of(index).size())}; }

std::vector<ChunkIndex> Plan::whole(const std::vector<bool>& matching) const {
  std::vector<bool> wrong(held_.size());
  for (std::size_t i = 0; i < places_.size(); ++i)
    if (!matching[i]) wrong[number(places_[i].chunk)] = true;
  std::vector<ChunkIndex> out;
  for (std::uint32_t span = 0; span < spans_.size(); ++span)
    for (std::uint32_t i = 0; i < spans_[span].chunks.size(); ++i)
      if (!wrong[first_[span] + i]) out.push_back({{span}, i});
  return out;
}

bool Plan::holds(chunker::SpanIndex span) const {
  const auto first = held_.begin() + static_cast<std::ptrdiff_t>(first_[span.value]);
  const auto end = first + static_cast<std::ptrdiff_t>(spans_[span.value].chunks.size());
  return std::find(first, end, 0) == end;
}

Bitmap Plan::held_spans() const {
  Bitmap out(static_cast<std::uint32_t>(spans_.size()));
  for (std::uint32_t span = 0; span < spans_.size(); ++span)
    if (holds(chunker::SpanIndex{span})) out.set(span);
  return out;
}

std::vector<wire::ChunkRun> Plan::lacking_parts(const Bitmap& skip) const {
  std::vector<wire::ChunkRun> out;
  for (std::uint32_t span = 0; span < spans_.size(); ++span) {
    if (skip.test(span)) continue;
    const std::size_t before = out.size();
    std::uint32_t lacking = 0;
    const auto chunks = static_cast<std::uint32_t>(spans_[span].chunks.size());
    for (std::uint32_t i = 0; i < chunks; ++i) {
      if (holds({{span}, i})) continue;
      if (lacking++ > 0 && out.size() > before && out.back().first + std::uint32_t{out.back().count} == i)
        ++out.back().count;
      else
        out.push_back({span, static_cast<std::uint16_t>(i), 1});
    }
    if (lacking == chunks || out.size() > wire::kMaxChunkRuns) out.resize(before);
  }
  return out;
}

disk::Expected Plan::expected(std::size_t place) const {
  const auto& [index, at, length] = places_[place];
  disk::Expected expected{at, length, chunk(index).id};
  const auto& known = fingerprints_[number(index)];
  if (known != chunker::Fingerprint{}) expected.fingerprint = known;
  return expected;
}

std::vector<bool> Plan::places_of(const Bitmap& spans) const {
  std::vector<bool> places;
  places.reserve(places_.size());
  for (const Place& place : places_) places.push_back(spans.test(place.chunk.span.value));
  return places;
}

}  // namespace stampede::deploy

#include "src/deploy/plan.h"

#include <algorithm>

namespace stampede::deploy {

Plan::Plan(const chunker::Manifest& manifest) : spans_(manifest.spans()) {
  std::unordered_map<chunker::ChunkId, ChunkIndex> index_of;
  std::size_t chunks = 0;
  for (std::uint32_t span = 0; span < spans_.size(); ++span) {
    first_.push_back(chunks);
    chunks += spans_[span].chunks.size();
    for (std::uint32_t i = 0; i < spans_[span].chunks.size(); ++i)
      index_of.emplace(spans_[span].chunks[i].id, ChunkIndex{{span}, i});
  }
  fingerprints_.resize(chunks);
  held_.resize(chunks);

  for (const auto& segment : manifest.segments) {
    Offset at = segment.offset;
    for (const auto& record : segment.records) {
      if (record.kind == chunker::RecordKind::repeat) repeats_[record.chunk].push_back(at);
      if (record.kind == chunker::RecordKind::data || record.kind == chunker::RecordKind::repeat) {
        places_.push_back({index_of.at(record.chunk), at, record.length});
        data_ += record.length;
      }
      at += record.length;
    }
  }
  for (const auto& extent : manifest.extents())
    if (extent.kind == chunker::ExtentKind::zero) zeros_.push_back(extent);
}

void Plan::add_placements(const chunker::VerifiedChunk& chunk, Offset first, std::vector<disk::Placement>& out) const {
  out.push_back({chunk, first});
  const auto found = repeats_.find(chunk.id());
  if (found == repeats_.end()) return;
  for (const Offset at : found->second) out.push_back({chunk, at});
}

std::vector<Offset> Plan::places_of(ChunkIndex index) const {
  std::vector<Offset> out{chunk(index).offset};
  if (const auto found = repeats_.find(chunk(index).id); found != repeats_.end())
    out.insert(out.end(), found->second.begin(), found->second.end());
  return out;
}

Size Plan::placed_size(ChunkIndex index) const { return {chunk(index).length * places_of(index).size()}; }

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

Bitmap Plan::held_spans() const {
  Bitmap out(static_cast<std::uint32_t>(spans_.size()));
  for (std::uint32_t span = 0; span < spans_.size(); ++span) {
    const auto first = held_.begin() + static_cast<std::ptrdiff_t>(first_[span]);
    const auto end = first + static_cast<std::ptrdiff_t>(spans_[span].chunks.size());
    if (std::find(first, end, false) == end) out.set(span);
  }
  return out;
}

std::vector<wire::ChunkRun> Plan::lacking_parts() const {
  std::vector<wire::ChunkRun> out;
  for (std::uint32_t span = 0; span < spans_.size(); ++span) {
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

std::vector<disk::Expected> Plan::expected_data() const {
  std::vector<disk::Expected> expected;
  expected.reserve(places_.size());
  for (std::size_t i = 0; i < places_.size(); ++i) expected.push_back(this->expected(i));
  return expected;
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

#include "src/deploy/plan.h"

namespace stampede::deploy {

Plan::Plan(const chunker::Manifest& manifest)
    : spans_(manifest.spans()), fingerprints_(spans_.size()), placed_(spans_.size()) {
  std::unordered_map<chunker::ChunkId, Position> position_of;
  for (std::uint32_t span = 0; span < spans_.size(); ++span)
    for (std::uint32_t i = 0; i < spans_[span].chunks.size(); ++i)
      position_of.emplace(spans_[span].chunks[i].id, Position{{span}, i});

  for (const auto& segment : manifest.segments) {
    Offset at = segment.offset;
    for (const auto& record : segment.records) {
      if (record.kind == chunker::RecordKind::repeat) repeats_[record.chunk].push_back(at);
      if (record.kind == chunker::RecordKind::data || record.kind == chunker::RecordKind::repeat) {
        const Position position = position_of.at(record.chunk);
        places_.push_back({position, {at, record.length, record.chunk}});
        placed_[position.span.value] += record.length;
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

void Plan::remember(chunker::SpanIndex span, std::vector<chunker::Fingerprint> fingerprints) {
  fingerprints_[span.value] = std::move(fingerprints);
}

std::vector<disk::Expected> Plan::expected_data() const {
  std::vector<disk::Expected> expected;
  expected.reserve(places_.size());
  for (std::size_t i = 0; i < places_.size(); ++i) expected.push_back(this->expected(i));
  return expected;
}

disk::Expected Plan::expected(std::size_t place) const {
  const auto& [position, as] = places_[place];
  disk::Expected expected = as;
  const auto& known = fingerprints_[position.span.value];
  if (!known.empty()) expected.fingerprint = known[position.chunk];
  return expected;
}

std::vector<bool> Plan::places_of(const Bitmap& spans) const {
  std::vector<bool> places;
  places.reserve(places_.size());
  for (const Place& place : places_) places.push_back(spans.test(place.position.span.value));
  return places;
}

std::vector<bool> Plan::held_spans(const std::vector<bool>& matching) const {
  std::vector<bool> held(spans_.size(), true);
  for (std::size_t i = 0; i < places_.size(); ++i)
    if (!matching[i]) held[places_[i].position.span.value] = false;
  return held;
}

}  // namespace stampede::deploy

#include "src/deploy/plan.h"

#include <algorithm>

namespace stampede::deploy {

namespace {
constexpr Size kSample = 64_KiB;
}

Plan::Plan(const chunker::Manifest& manifest) : spans_(manifest.spans()) {
  std::unordered_map<chunker::ChunkId, chunker::SpanIndex> span_of;
  for (std::uint32_t i = 0; i < spans_.size(); ++i)
    for (const auto& chunk : spans_[i].chunks) span_of.emplace(chunk.id, chunker::SpanIndex{i});

  for (const auto& segment : manifest.segments) {
    Offset at = segment.offset;
    for (const auto& record : segment.records) {
      if (record.kind == chunker::RecordKind::repeat) repeats_[record.chunk].push_back(at);
      if (record.kind == chunker::RecordKind::data || record.kind == chunker::RecordKind::repeat) {
        places_.push_back({span_of.at(record.chunk), {at, record.length, record.chunk}});
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

std::vector<disk::Expected> Plan::expected_data() const {
  std::vector<disk::Expected> expected;
  expected.reserve(places_.size());
  for (const auto& place : places_) expected.push_back(place.expected);
  return expected;
}

std::vector<disk::Expected> Plan::zero_samples() const {
  std::vector<disk::Expected> samples;
  for (const auto& extent : zeros_) {
    const Size size = std::min(extent.length, kSample);
    samples.push_back({extent.offset, size, std::nullopt});
    if (extent.length > kSample) samples.push_back({extent.offset + extent.length - size, size, std::nullopt});
  }
  return samples;
}

std::vector<bool> Plan::held_spans(const std::vector<bool>& matching) const {
  std::vector<bool> held(spans_.size(), true);
  for (std::size_t i = 0; i < places_.size(); ++i)
    if (!matching[i]) held[places_[i].span.value] = false;
  return held;
}

}  // namespace stampede::deploy

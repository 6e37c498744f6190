// What one deployment has to do, worked out from the manifest before anything is written: where each span's chunks go, what
// must read as zeros, and what the disk must return in the end.
//
// Memory: the manifest's records (48 bytes each), as many SpanChunks and places, a fingerprint each, and the repeats.
#pragma once

#include <unordered_map>
#include <vector>

#include "chunker/manifest.h"
#include "src/base/bitmap.h"
#include "src/disk/target.h"

namespace stampede::deploy {

class Plan {
 public:
  explicit Plan(const chunker::Manifest& manifest);

  const std::vector<chunker::Span>& spans() const { return spans_; }
  // Every place of a verified chunk: its own and its repeats'.
  void add_placements(const chunker::VerifiedChunk& chunk, Offset first, std::vector<disk::Placement>& out) const;
  const std::vector<chunker::Extent>& zero_extents() const { return zeros_; }
  // Plain bytes that the disk holds as data, repeats counted.
  Size data() const { return data_; }
  // The part of data() that a span's chunks make, in all their places.
  Size placed_size(chunker::SpanIndex span) const { return placed_[span.value]; }

  // The fingerprints of a span's chunks, in order, taken when they were verified. From any thread, once for each span.
  void remember(chunker::SpanIndex span, std::vector<chunker::Fingerprint> fingerprints);
  // What every data range must read as, in disk order: by the fingerprint where one is remembered, else by the chunk's id.
  std::vector<disk::Expected> expected_data() const;
  // The same one by one.
  std::size_t place_count() const { return places_.size(); }
  disk::Expected expected(std::size_t place) const;
  // For each place: is it one of these spans'?
  std::vector<bool> places_of(const Bitmap& spans) const;
  // The spans all of whose places are `matching` (in the order of expected_data()).
  std::vector<bool> held_spans(const std::vector<bool>& matching) const;

 private:
  // Where a chunk stands among the spans.
  struct Position {
    chunker::SpanIndex span;
    std::uint32_t chunk = 0;
  };
  struct Place {
    Position position;
    disk::Expected expected;
  };
  std::vector<chunker::Span> spans_;
  std::unordered_map<chunker::ChunkId, std::vector<Offset>> repeats_;
  std::vector<Place> places_;                                    // in disk order
  std::vector<std::vector<chunker::Fingerprint>> fingerprints_;  // by span; empty: not verified in this run
  std::vector<chunker::Extent> zeros_;
  std::vector<Size> placed_;  // by span
  Size data_;
};

}  // namespace stampede::deploy

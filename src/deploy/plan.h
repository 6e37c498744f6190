// What one deployment has to do, worked out from the manifest before anything is written: where each span's chunks go, what
// must read as zeros, what the disk holds already, and what it must return in the end.
//
// Memory: kMemoryOfData and kMemoryOfOther (memory.h) say how much.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "chunker/chunk_table.h"
#include "chunker/manifest.h"
#include "src/base/bitmap.h"
#include "src/disk/target.h"
#include "transport/wire/messages.h"

namespace stampede::deploy {

// A chunk by where it stands among the spans.
struct ChunkIndex {
  chunker::SpanIndex span;
  std::uint32_t chunk = 0;
  auto operator<=>(const ChunkIndex&) const = default;
};

// Does a record of that kind stand for a data range?
constexpr bool is_data(chunker::RecordKind kind) {
  return kind == chunker::RecordKind::data || kind == chunker::RecordKind::repeat;
}

// Where a chunk goes: every data range of the disk is one.
struct Place {
  ChunkIndex chunk;
  Offset at;
  Size length;
};

class Plan {
 public:
  // Takes the manifest apart as it goes: not all of both is in memory at once.
  explicit Plan(chunker::Manifest manifest);

  const std::vector<chunker::Span>& spans() const { return spans_; }
  const chunker::SpanChunk& chunk(ChunkIndex at) const { return spans_[at.span.value].chunks[at.chunk]; }
  // Which chunk has this id?
  std::optional<ChunkIndex> find(const chunker::ChunkId& id) const;
  // Chunks are numbered from 0 to chunks() in the order of the spans.
  std::size_t chunks() const { return held_.size(); }
  std::size_t number(ChunkIndex chunk) const { return first_[chunk.span.value] + chunk.chunk; }

  const std::vector<Place>& places() const { return places_; }  // in disk order
  // Every place of a verified chunk: its own and its repeats'.
  void add_placements(const chunker::VerifiedChunk& verified, ChunkIndex chunk, std::vector<disk::Placement>& out) const;
  // Calls visit(offset) for the same.
  template <class Visit>
  void for_places(ChunkIndex at, Visit visit) const {
    visit(chunk(at).offset);
    for (const Repeat& repeat : repeats_of(at)) visit(repeat.at);
  }
  const std::vector<chunker::Extent>& zero_extents() const { return zeros_; }
  // Plain bytes that the disk holds as data, repeats counted.
  Size data() const { return data_; }
  // The part of data() that a chunk makes, in all its places.
  Size placed_size(ChunkIndex chunk) const;

  // A chunk that stands in all its places already. Before other threads ask that of its span.
  void hold(ChunkIndex chunk) { held_[number(chunk)] = 1; }
  bool holds(ChunkIndex chunk) const { return held_[number(chunk)] != 0; }
  bool holds(chunker::SpanIndex span) const;
  // The chunks that stand in all their places, where `matching` (in the order of places()) says which places are right.
  std::vector<ChunkIndex> whole(const std::vector<bool>& matching) const;
  // The spans of which nothing is lacking.
  Bitmap held_spans() const;
  // What is lacking of the spans, but for those to `skip`, of which something is held, as Node::hold_parts() takes it; of
  // the first kMaxChunkRuns runs.
  std::vector<wire::ChunkRun> lacking_parts(const Bitmap& skip) const;

  // The fingerprint of a chunk, taken when it was verified. From any thread, for one chunk from one at a time.
  void remember(ChunkIndex chunk, chunker::Fingerprint fingerprint) { fingerprints_[number(chunk)] = fingerprint; }
  // What the data range of that index in places() must read as: by the fingerprint where one is remembered, else by the
  // chunk's id.
  disk::Expected expected(std::size_t place) const;
  // For each place: is it one of these spans'?
  std::vector<bool> places_of(const Bitmap& spans) const;

 private:
  // A later place of a chunk.
  struct Repeat {
    ChunkIndex chunk;
    Offset at;
    auto operator<=>(const Repeat&) const = default;
  };
  // For the table: whose id a number stands for.
  struct IdOf {
    const Plan& plan;
    const chunker::ChunkId& operator()(std::uint32_t number) const { return plan.chunk(plan.index_of(number)).id; }
  };
  void add_spans(std::vector<chunker::Span> spans);
  void add_records(const chunker::Segment& segment);
  void add_zeros(Offset at, Size length);
  ChunkIndex index_of(std::uint32_t number) const;
  std::span<const Repeat> repeats_of(ChunkIndex chunk) const;

  std::vector<chunker::Span> spans_;
  std::vector<std::size_t> first_;  // the number of each span's first chunk
  chunker::ChunkTable numbers_;     // by id
  std::vector<Repeat> repeats_;     // by chunk
  std::vector<Place> places_;
  std::vector<chunker::Fingerprint> fingerprints_;  // by number; zeros: not verified in this run
  std::vector<std::uint8_t> held_;                  // by number; a byte each, for threads that look at other spans
  std::vector<chunker::Extent> zeros_;
  Size data_;
};

}  // namespace stampede::deploy

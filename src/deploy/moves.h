// Chunks that the disk holds elsewhere than where the image wants them: in which order they can be moved, and the moving.
//
// No journal is needed. A chunk is read into memory and verified before it is written anywhere; no move writes to what a
// later one has yet to read (safe_order), and what comes by the network meanwhile is not written there either (Sources).
// Where the machine stops in between, sources may be gone; but a disk that bears the mark of an interrupted deployment is
// read anew by the next run, which believes no byte of it before it has hashed it, and fetches what it finds nowhere.
#pragma once

#include <functional>
#include <mutex>
#include <span>
#include <vector>

#include "src/deploy/plan.h"

namespace stampede::deploy {

struct Move {
  ChunkIndex chunk;
  Offset from;
  bool operator==(const Move&) const = default;
};

// The moves in an order in which none writes to where a later one reads; of those that may come next it is the nearest, by
// source, that does. Where they stand in a circle one of it is left out: that chunk has to be fetched; so is one whose
// source overlaps another's. At most one move for each chunk.
std::vector<Move> safe_order(const Plan& plan, std::vector<Move> moves);

// Where moves have yet to read: who writes elsewhere on the disk meanwhile leaves that alone. Thread-safe.
//
// Memory: a Source and a bit for each move.
class Sources {
 public:
  Sources() = default;  // nothing moves
  // Of these moves, in an order that safe_order() gave.
  Sources(const Plan& plan, std::span<const Move> moves);

  // These moves, by where they stand in that order, have read, or will not.
  void have_read(std::size_t first, std::size_t count);
  void all_have_read();
  // Does nobody have to read there any more? It stays so.
  bool are_clear_of(Range range) const;
  // Called, on some thread, after more has been read. Not changed while moves are carried out.
  void on_read(std::function<void()> more) { on_read_ = std::move(more); }

 private:
  struct Source {
    Range range;
    std::size_t move = 0;
  };

  std::vector<Source> sources_;  // by where they are; they are apart
  std::function<void()> on_read_;
  mutable std::mutex mutex_;
  std::vector<bool> waits_;  // by move: has it yet to read?
  std::size_t left_ = 0;
};

// Called now and then from the calling thread with the spans, of those that have moves, for which all of them are over and
// written since the last call: what the plan now holds of them is all that the disk will give. Shall it go on?
using Settled = std::function<bool(std::span<const chunker::SpanIndex> spans)>;

// Reads, verifies and places the chunks, in this order by slabs, and tells `sources`; those that succeed are held and
// remembered by the plan. After begin(); what others place meanwhile waits for `sources`, and zero() for the end. A chunk
// that is not there (any more) or cannot be read is left out. Returns, when all has been written, the plain bytes of what
// was placed, all places counted. Errors: interrupted; read_failed where the disk cannot even be opened. Of a failing write
// flush() tells.
Result<Size> carry_out(Plan& plan, disk::Target& target, std::vector<Move> moves, Sources& sources, const Settled& settled);

}  // namespace stampede::deploy

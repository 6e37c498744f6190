// Chunks that the disk holds elsewhere than where the image wants them: in which order they can be moved, and the moving.
//
// No journal is needed. A chunk is read into memory and verified before it is written anywhere; no move writes to what a
// later one has yet to read (safe_order), and nothing else is written before all have been read. Where the machine stops in
// between, sources may be gone; but a disk that bears the mark of an interrupted deployment is read anew by the next run,
// which believes no byte of it before it has hashed it, and fetches what it finds nowhere.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "src/deploy/plan.h"

namespace stampede::deploy {

struct Move {
  ChunkIndex chunk;
  Offset from;
  bool operator==(const Move&) const = default;
};

// The moves in an order in which none writes to where a later one reads; in the order of the disk but for that. Where they
// stand in a circle one of it is left out: that chunk has to be fetched; so is one whose source overlaps another's. At most
// one move for each chunk.
std::vector<Move> safe_order(const Plan& plan, std::vector<Move> moves);

// Reads, verifies and places the chunks, in this order; those that succeed are held and remembered by the plan. Between
// begin() and the first place() or zero() of anything else. A chunk that is not there (any more) or cannot be read is left
// out. Returns, when all has been written, the plain bytes of what was placed, all places counted. Errors: interrupted,
// where `go_on` (asked now and then) says no; read_failed where the disk cannot even be opened. Of a failing write flush()
// tells.
Result<Size> carry_out(Plan& plan, disk::Target& target, std::span<const Move> moves, const std::function<bool()>& go_on);

}  // namespace stampede::deploy

// One reading of parts of a disk that finds an image's chunks: those that stand in their places, and in what is left between
// them, cut and named as at import, those that stand elsewhere. A chunk is believed when its SHA-256 is right, no sooner.
//
// All cores read and hash, and some more threads than there are cores, since a disk answers several at once better. What
// cannot be read is not there.
//
// Memory: the target's slabs, which are idle at that time, and for further threads their own: kMostScanThreads × (kScanPiece
// + kScanOverlap) in all; for each thread a Digester, and 128 bytes for each chunk in its piece; a bit for each place, 8
// bytes for each chunk and 32 for each piece.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <span>
#include <vector>

#include "chunker/digest.h"
#include "src/base/range.h"
#include "src/deploy/moves.h"
#include "src/deploy/plan.h"

namespace stampede::deploy {

inline constexpr Size kScanPiece = 3584_KiB;
// A chunk that begins in one piece is looked for to its end, and for a while the next piece's too: by then its own cuts have
// fallen in with them.
inline constexpr Size kScanOverlap = 512_KiB;
inline constexpr unsigned kMostScanThreads = 12;

class Scan {
 public:
  // Looks at the places of which `asked` says so, in the order of Plan::places(). `off_grid` is what the disk's own file
  // systems have off the grid (volume/off_grid.h): it is cut as at import. All of them outlive it.
  Scan(Plan& plan, disk::Target& target, const std::vector<bool>& asked, std::span<const Range> off_grid = {});

  // Reads the ranges (in order, apart; whole blocks but for the disk's end), which hold all places that are asked for. The
  // fingerprints of what stands in its place are remembered by the plan. `progress` is called about ten times a second from
  // the calling thread with the bytes read so far; false ends it with `interrupted`. Other errors: read_failed where the
  // disk cannot even be opened.
  Result<> run(std::span<const Range> ranges, bool elsewhere, const std::function<bool(Size read)>& progress);

  // Places that are right.
  const std::vector<bool>& matching() const { return matching_; }
  // A move for every chunk that the plan does not hold and of which the disk has the bytes, by chunk: from the first place
  // where they were seen.
  std::vector<Move> moves() const;

  Size read() const { return {read_}; }
  // What was not zeros where it looked elsewhere, and the part of that which the image has; the same chunk counted once.
  Size data() const { return {data_}; }
  Size found() const { return {found_}; }

 private:
  struct Piece {
    Range range;
    Size own;  // what begins later is the next one's
  };
  // A piece as it is being read: so much of it there is in memory.
  struct Reading {
    const disk::Reader& file;
    const Piece& piece;
    MutableBytes memory;
    std::size_t got = 0;
  };
  struct Named {
    Range range;
    chunker::ChunkId id;
  };
  struct Seen {
    std::vector<std::pair<std::size_t, chunker::Fingerprint>> places;
    std::vector<std::pair<ChunkIndex, Offset>> chunks;
    std::vector<Named> others;  // what stood in places instead, in order: often it is cut so when it is looked through
  };
  struct Cut {
    Range range;
    ByteView bytes;
  };
  void search(Reading reading, bool elsewhere, chunker::Digester& digester);
  ByteView read(Reading& reading, Size wanted);
  void search_places(std::span<const Place> places, Offset begin, ByteView bytes, chunker::Digester& digester, Seen& seen);
  std::size_t number_of(const Place& place) const;  // among Plan::places()
  void cut_up(Offset begin, ByteView bytes, std::vector<Cut>& cuts);
  void cut_blocks(Offset begin, ByteView bytes, std::vector<Cut>& cuts);
  void search_cuts(const std::vector<Cut>& cuts, chunker::Digester& digester, Seen& seen) const;
  void note(const Seen& seen);
  bool note_source(ChunkIndex chunk, Offset at);  // is it the first one?

  Plan& plan_;
  disk::Target& target_;
  const std::vector<bool>& asked_;
  const std::span<const Range> off_grid_;
  std::atomic<std::uint64_t> read_ = 0, data_ = 0;
  std::mutex mutex_;
  std::vector<bool> matching_;
  std::vector<Offset> sources_;  // by the chunk's number
  std::uint64_t found_ = 0;
};

// As much of `out` as there is of the file; what cannot be read is zeros, which no chunk has blocks of. Returns how much
// there is.
std::size_t read_what_can_be(const disk::Reader& file, Offset at, MutableBytes out);

}  // namespace stampede::deploy

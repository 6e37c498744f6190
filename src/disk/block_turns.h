// Blocks that two chunks share are written whole, by who has both, or in part: read, changed and written back. A part that
// is read before the whole is written and written back after would undo it: they take turns. Thread-safe.
//
// Whoever writes a part is at it while it has its turn and waits for nobody, so that all turns end.
#pragma once

#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

#include "src/disk/commit_region.h"

namespace stampede::disk {

class BlockTurns {
  using Ranges = std::vector<Range>;

 public:
  // Lasts as long as it lives; at most as long as its BlockTurns.
  class Turn {
   public:
    Turn(Turn&& other) noexcept : turns_(std::exchange(other.turns_, nullptr)), kind_(other.kind_), blocks_(other.blocks_) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() { end(); }
    void end() {
      if (BlockTurns* const turns = std::exchange(turns_, nullptr)) turns->end(blocks_, turns->*kind_);
    }

   private:
    friend class BlockTurns;
    Turn(BlockTurns& turns, Ranges BlockTurns::* kind, Range blocks) : turns_(&turns), kind_(kind), blocks_(blocks) {}

    BlockTurns* turns_;
    Ranges BlockTurns::* kind_;
    Range blocks_;
  };

  // Waits while a part of these blocks is being written. Two that are written whole at once hold the same.
  [[nodiscard]] Turn whole(Range blocks);
  // Waits while one of these blocks is being written whole.
  [[nodiscard]] Turn part(Range blocks);

 private:
  void begin(Range blocks, const Ranges& others, Ranges& own);
  void end(Range blocks, Ranges& own);

  std::mutex mutex_;
  std::condition_variable ended_;
  Ranges whole_, parts_;  // under way; guarded by mutex_
};

}  // namespace stampede::disk

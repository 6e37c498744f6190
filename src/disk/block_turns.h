// Blocks that two chunks share are written whole, by who has both, or in part: read, changed and written back. A part that
// is read before the whole is written and written back after would undo it: they take turns. Thread-safe.
//
// Whoever writes a part is at it while it has its turn and waits for nobody, so that all turns end.
#pragma once

#include <condition_variable>
#include <mutex>
#include <vector>

#include "src/disk/commit_region.h"

namespace stampede::disk {

class BlockTurns {
 public:
  // Waits while a part of these blocks is being written. Two that are written whole at once hold the same.
  void begin_whole(Range blocks);
  void end_whole(Range blocks);
  // Waits while one of these blocks is being written whole.
  void begin_part(Range blocks);
  void end_part(Range blocks);

 private:
  using Ranges = std::vector<Range>;

  void begin(Range blocks, const Ranges& others, Ranges& own);
  void end(Range blocks, Ranges& own);

  std::mutex mutex_;
  std::condition_variable ended_;
  Ranges whole_, parts_;  // under way; guarded by mutex_
};

}  // namespace stampede::disk

// The images that were asked for as pieces of one size (src/casync/fixed_index.h), for clients with an older image as a
// seed. The last ones are kept, in memory alone: after a restart a client has to ask for the index again before its pieces.
// Thread-safe.
//
// Bounds: kMaxFixedPieces of all together, about 100 MiB; one image is read at a time while others wait for theirs.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>

#include "cache/store.h"
#include "src/casync/fixed_index.h"

namespace stampede::service {

// Threads that may wait here; the others go on with what is quick.
inline constexpr unsigned kMostFixedWaiting = 3;

class FixedShelf {
 public:
  explicit FixedShelf(cache::Store& store) : store_(store) {}

  using Kept = std::shared_ptr<const casync::FixedIndex>;
  // Reads the whole image where it is not kept. Errors: as of FixedIndex::make; busy, where many wait.
  Result<Kept> index(const chunker::ImageId& image);
  // A piece of an image that is kept, as a zstd frame; nothing where there is none. Errors: as of FixedIndex::read.
  Result<std::optional<Bytes>> piece(const chunker::ChunkId& id);
  // Who waits comes back.
  void stop() { stopped_ = true; }

 private:
  Kept find(const chunker::ImageId& image);
  void keep(Kept index);

  cache::Store& store_;
  std::atomic<bool> stopped_ = false;
  std::atomic<unsigned> waiting_ = 0;
  std::mutex making_;
  std::mutex mutex_;
  std::deque<Kept> kept_;  // the last used first; guarded by mutex_
};

}  // namespace stampede::service

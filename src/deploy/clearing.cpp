#include "src/deploy/clearing.h"

#include <atomic>
#include <memory>

namespace stampede::deploy {

namespace {

struct Work {
  disk::Target& target;
  const std::span<const chunker::Extent> extents;
  const Clearing how;
  std::atomic<std::size_t> next = 0;
};

// The next is begun before the target counts this one as ended, so that a flush waits for it too.
void begin_next(const std::shared_ptr<Work>& work) {
  const std::size_t index = work->next++;
  if (index >= work->extents.size()) return;
  const chunker::Extent& extent = work->extents[index];
  auto done = [work](const Result<>& result) {
    if (result) begin_next(work);
  };
  if (work->how == Clearing::zero)
    work->target.zero(extent.offset, extent.length, std::move(done));
  else
    work->target.discard(extent.offset, extent.length, std::move(done));
}

}  // namespace

void clear(disk::Target& target, std::span<const chunker::Extent> extents, Clearing how) {
  const auto work = std::make_shared<Work>(target, extents, how);
  for (std::size_t i = 0; i < kClearingAtOnce; ++i) begin_next(work);
}

}  // namespace stampede::deploy

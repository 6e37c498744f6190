// Where a pull's spans arrive: opened and verified on all cores, and packed as they came. It gives nothing to others.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "cache/store.h"
#include "chunker/seal.h"
#include "src/base/bitmap.h"
#include "src/base/queue.h"
#include "transport/net/node.h"

namespace stampede::service {

// What a store lacks of an image.
struct Wanted {
  Bitmap held;                        // spans of which nothing is lacking
  std::vector<wire::ChunkRun> lacks;  // of the others, where something is held: as wire::Partial has it
  Size data, lacking;                 // plain bytes
};
Wanted wanted_of(const std::vector<chunker::Span>& spans, chunker::ChunkSink& session);

class PullInbox final : public chunker::SpanInbox, public chunker::SpanSource {
 public:
  // All outlive it.
  PullInbox(const std::vector<chunker::Span>& spans, chunker::ChunkSink& session, net::Node& node);
  ~PullInbox() override { stop(); }
  // The node is not called after it.
  void stop();

  void deliver(chunker::SealedSpan span, chunker::Origin origin) override {
    queue_.push({std::move(span), std::move(origin)});
  }
  std::shared_ptr<const chunker::SealedSpan> span(chunker::SpanIndex /*index*/) override { return nullptr; }

  Size packed() const { return {packed_.load(std::memory_order_relaxed)}; }    // plain bytes
  Size fetched() const { return {fetched_.load(std::memory_order_relaxed)}; }  // sealed ones, of them
  // That the store takes nothing any more.
  std::optional<Error> failed() const;

 private:
  void work();
  Result<> take(chunker::Opener& opener, MutableBytes scratch, const chunker::SealedSpan& sealed);
  Result<> pack(const chunker::Span& span, const chunker::SealedSpan& sealed, const std::vector<bool>& held);

  const std::vector<chunker::Span>& spans_;
  chunker::ChunkSink& session_;
  net::Node& node_;
  std::atomic<std::uint64_t> packed_ = 0;
  std::atomic<std::uint64_t> fetched_ = 0;
  mutable std::mutex mutex_;
  std::optional<Error> failed_;
  Queue<std::pair<chunker::SealedSpan, chunker::Origin>> queue_;  // kPullCredit at most
  std::vector<std::thread> workers_;
};

}  // namespace stampede::service

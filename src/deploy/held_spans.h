// What a target serves to others: the newest that were put here from memory, all others from the disk that it writes: read,
// verified and sealed anew. So everything that is announced can be served, after a resume too, and memory stays bounded.
// Once first boot has changed a span's blocks, and while the commit region is held back, that span is not held.
//
// Memory: the cache's limit, a span as read, and zstd's context. Thread-safe; fetch() answers on a thread of its own.
#pragma once

#include <thread>

#include "cache/span_cache.h"
#include "src/base/queue.h"
#include "src/deploy/plan.h"

namespace stampede::deploy {

class HeldSpans final : public chunker::SpanSource {
 public:
  // `plan` outlives it; `disk` is Target::reader.
  HeldSpans(const Plan& plan, Size memory, std::unique_ptr<disk::Reader> disk);
  ~HeldSpans() override { stop(); }

  void put(std::shared_ptr<const chunker::SealedSpan> span) { cache_.put(std::move(span)); }
  std::shared_ptr<const chunker::SealedSpan> span(chunker::SpanIndex index) override { return cache_.span(index); }
  void fetch(chunker::SpanIndex index, Give give) override;
  // Nothing is given after it; before what `give` uses goes.
  void stop();

 private:
  struct Question {
    chunker::SpanIndex index;
    Give give;
  };
  void answer();

  const Plan& plan_;
  cache::SpanCache cache_;
  const std::unique_ptr<disk::Reader> disk_;
  Queue<Question> questions_;
  std::thread thread_;
};

}  // namespace stampede::deploy

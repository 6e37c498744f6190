// The bounded memory cache of a target: sealed spans kept to serve to others. The oldest go first; memory is at most the
// limit plus one span. Thread-safe.
#pragma once

#include <deque>
#include <mutex>
#include <vector>

#include "chunker/source.h"

namespace stampede::cache {

class SpanCache final : public chunker::SpanSource {
 public:
  SpanCache(std::uint32_t span_count, Size limit);
  void put(std::shared_ptr<const chunker::SealedSpan> span);
  std::shared_ptr<const chunker::SealedSpan> span(chunker::SpanIndex index) override;
  Size held() const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<const chunker::SealedSpan>> spans_;
  std::deque<chunker::SpanIndex> order_;
  Size limit_;
  Size held_;
};

}  // namespace stampede::cache

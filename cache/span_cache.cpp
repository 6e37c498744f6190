#include "cache/span_cache.h"

namespace stampede::cache {
namespace {

Size memory_of(const chunker::SealedSpan& span) {
  return {sizeof span + span.bytes.capacity() + span.parts.capacity() * sizeof span.parts[0]};
}

}  // namespace

SpanCache::SpanCache(std::uint32_t span_count, Size limit) : spans_(span_count), limit_(limit) {}

void SpanCache::put(std::shared_ptr<const chunker::SealedSpan> span) {
  const std::lock_guard lock(mutex_);
  const chunker::SpanIndex index = span->index;
  if (index.value >= spans_.size() || spans_[index.value]) return;
  held_ += memory_of(*span);
  spans_[index.value] = std::move(span);
  order_.push_back(index);
  while (held_ > limit_) {
    auto& oldest = spans_[order_.front().value];
    held_ -= memory_of(*oldest);
    oldest.reset();
    order_.pop_front();
  }
}

std::shared_ptr<const chunker::SealedSpan> SpanCache::span(chunker::SpanIndex index) {
  const std::lock_guard lock(mutex_);
  return index.value < spans_.size() ? spans_[index.value] : nullptr;
}

Size SpanCache::held() const {
  const std::lock_guard lock(mutex_);
  return held_;
}

}  // namespace stampede::cache

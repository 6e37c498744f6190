#include <spdlog/spdlog.h>

#include <mutex>
#include <set>

#include "cache/store.h"

namespace stampede::cache {
namespace {

using chunker::Manifest;
using chunker::SpanIndex;

class StoreSpans final : public chunker::SpanSource {
 public:
  StoreSpans(std::shared_ptr<const Manifest> manifest, chunker::ChunkSource& source)
      : manifest_(std::move(manifest)), source_(source) {
    starts_.reserve(manifest_->root.span_count());
    for (std::uint32_t i = 0; i < manifest_->segments.size(); ++i)
      for (const std::uint32_t record : chunker::span_starts(manifest_->segments[i])) starts_.push_back({i, record});
  }

  std::shared_ptr<const chunker::SealedSpan> span(SpanIndex index) override {
    if (index.value >= starts_.size()) return nullptr;
    auto gathered = source_.gather(chunks_of(index.value));
    if (!gathered) {
      complain(index, gathered.error());
      return nullptr;
    }
    gathered->index = index;
    return std::make_shared<const chunker::SealedSpan>(*std::move(gathered));
  }

 private:
  // The record with which a span begins: eight bytes a span, where the spans themselves would take as much as the manifest.
  struct Start {
    std::uint32_t segment = 0;
    std::uint32_t record = 0;
  };

  std::vector<chunker::SpanChunk> chunks_of(std::uint32_t index) const {
    const Start start = starts_[index];
    const auto& records = manifest_->segments[start.segment].records;
    const bool last_in_segment = index + 1 == starts_.size() || starts_[index + 1].segment != start.segment;
    const std::size_t end = last_in_segment ? records.size() : starts_[index + 1].record;
    std::vector<chunker::SpanChunk> chunks;
    chunks.reserve(end - start.record);
    for (std::size_t i = start.record; i < end; ++i)
      if (records[i].kind == chunker::RecordKind::data)
        chunks.push_back({records[i].chunk, static_cast<std::uint32_t>(records[i].length.bytes), {}});
    return chunks;
  }

  // Once for each span: it will be asked for again and again.
  void complain(SpanIndex index, const Error& error) {
    {
      const std::lock_guard lock(mutex_);
      if (!complained_.insert(index.value).second) return;
    }
    spdlog::error("cannot serve span {} of image {}: {}", index.value, to_string(manifest_->id), error.message);
  }

  const std::shared_ptr<const Manifest> manifest_;
  chunker::ChunkSource& source_;
  std::vector<Start> starts_;
  std::mutex mutex_;
  std::set<std::uint32_t> complained_;
};

}  // namespace

std::unique_ptr<chunker::SpanSource> spans_from(std::shared_ptr<const Manifest> manifest, chunker::ChunkSource& source) {
  return std::make_unique<StoreSpans>(std::move(manifest), source);
}

}  // namespace stampede::cache

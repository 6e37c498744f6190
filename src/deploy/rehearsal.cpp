#include "src/deploy/rehearsal.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "chunker/seal.h"
#include "src/base/buffer.h"

namespace stampede::deploy {

namespace {

double seconds_of(Duration duration) { return std::chrono::duration<double>(duration).count(); }

// Verifies what comes, on all cores, and keeps nothing.
class Sink final : public chunker::SpanInbox {
 public:
  Sink(const std::vector<chunker::Span>& spans, net::Node& node) : spans_(spans), node_(node) {
    for (unsigned i = 0; i < std::max(1U, std::thread::hardware_concurrency()); ++i)
      workers_.emplace_back([this] { work(); });
  }
  ~Sink() override { stop(); }
  // The node is not called after it.
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (auto& worker : workers_) worker.join();
    workers_.clear();
  }
  void deliver(chunker::SealedSpan span, chunker::Origin origin) override {
    {
      const std::lock_guard lock(mutex_);
      queue_.emplace_back(std::move(span), std::move(origin));
    }
    wake_.notify_one();
  }
  Size verified() const { return {verified_.load(std::memory_order_relaxed)}; }

 private:
  void work() {
    chunker::Opener opener;
    Buffer scratch(chunker::kMaxChunk.bytes);
    while (true) {
      std::pair<chunker::SealedSpan, chunker::Origin> arrival;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
        if (stopping_) return;
        arrival = std::move(queue_.front());
        queue_.pop_front();
      }
      const auto& [span, origin] = arrival;
      if (is_right(span, opener, scratch))
        node_.had(span.index);
      else
        node_.bad(span.index, origin);
    }
  }

  bool is_right(const chunker::SealedSpan& span, chunker::Opener& opener, MutableBytes scratch) {
    const auto& chunks = spans_[span.index.value].chunks;
    if (span.parts.size() != chunks.size()) return false;
    ByteView sealed = span.bytes;
    for (std::size_t i = 0; i < chunks.size(); ++i) {
      const auto& part = span.parts[i];
      if (!opener.open({chunks[i].id, part.codec, chunks[i].length, sealed.first(part.sealed_size)}, scratch)) return false;
      sealed = sealed.subspan(part.sealed_size);
      verified_ += chunks[i].length;
    }
    return true;
  }

  const std::vector<chunker::Span>& spans_;
  net::Node& node_;
  std::atomic<std::uint64_t> verified_ = 0;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::pair<chunker::SealedSpan, chunker::Origin>> queue_;
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

// Nothing is held long enough to be served.
class NothingHeld final : public chunker::SpanSource {
 public:
  std::shared_ptr<const chunker::SealedSpan> span(chunker::SpanIndex /*index*/) override { return nullptr; }
};

}  // namespace

Result<Rehearsal> rehearse(const RehearsalOptions& options) {
  const Instant start = system_clock().now();
  // The node goes before what it delivers to, and that stops calling the node before.
  std::vector<chunker::Span> spans;
  std::optional<Sink> sink;
  NothingHeld nothing;
  STAMPEDE_TRY(auto access, Access::open(options));
  STAMPEDE_CHECK(access.connect());
  STAMPEDE_TRY(const auto record, access.resolve(options.image));
  {
    STAMPEDE_TRY(const auto manifest, access.manifest(record));
    spans = manifest.spans();
  }
  Rehearsal out;
  for (const auto& span : spans)
    for (const auto& chunk : span.chunks) out.data += Size{chunk.length};

  net::Node& node = *access.node();
  sink.emplace(spans, node);
  const auto count = static_cast<std::uint32_t>(spans.size());
  auto result = node.join({.image = record.image,
                           .span_count = count,
                           .have = Bitmap(count),
                           .credit = kRehearsalCredit,
                           .inbox = &*sink,
                           .held = &nothing});
  out.began = system_clock().now();
  out.joining = seconds_of(out.began - start);
  if (result)
    result = node.wait_complete([&](const net::SwarmStatus& status) {
      options.progress(status, sink->verified(), out.data);
      return !options.stopped();
    });
  out.receiving = seconds_of(system_clock().now() - out.began);
  out.status = node.status();
  sink->stop();
  STAMPEDE_CHECK(result);
  return out;
}

}  // namespace stampede::deploy

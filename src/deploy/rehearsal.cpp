#include "src/deploy/rehearsal.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "src/base/buffer.h"
#include "src/base/queue.h"
#include "src/deploy/open_span.h"

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
    queue_.stop();
    for (auto& worker : workers_) worker.join();
    workers_.clear();
  }
  void deliver(chunker::SealedSpan span, chunker::Origin origin) override {
    queue_.push({std::move(span), std::move(origin)});
  }
  Size verified() const { return {verified_.load(std::memory_order_relaxed)}; }

 private:
  void work() {
    chunker::Opener opener;
    Buffer scratch(chunker::kSpan.bytes);
    while (const auto arrival = queue_.pop()) {
      const auto& [sealed, origin] = *arrival;
      const chunker::Span& span = spans_[sealed.index.value];
      if (!open_span(opener, span, sealed, scratch, [](std::size_t) { return false; }, [](const auto&, std::size_t) {})) {
        node_.bad(sealed.index, origin);
        continue;
      }
      verified_ += span.plain_size().bytes;
      node_.had(sealed.index);
    }
  }

  const std::vector<chunker::Span>& spans_;
  net::Node& node_;
  std::atomic<std::uint64_t> verified_ = 0;
  Queue<std::pair<chunker::SealedSpan, chunker::Origin>> queue_;
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
  for (const auto& span : spans) out.data += span.plain_size();

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

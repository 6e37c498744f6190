// Brings the spans of an image from a chunk source of this machine, a store, to an inbox: what the node does over the
// network.
//
// Reads in order on a thread of its own, as far ahead as the credit allows and no more than all workers need: memory that is
// used again is faster than more of it. A span that does not verify ends it: there is
// nobody else to ask. Memory: the spans under way.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "chunker/source.h"

namespace stampede::deploy {

class LocalFeed final : public chunker::SpanFeed {
 public:
  // `spans` and `source` outlive it.
  LocalFeed(std::span<const chunker::Span> spans, chunker::ChunkSource& source);
  ~LocalFeed() override { stop(); }
  LocalFeed(const LocalFeed&) = delete;
  LocalFeed& operator=(const LocalFeed&) = delete;

  // Once. `inbox` is delivered to until stop(), as soon as there is credit.
  void start(chunker::SpanInbox& inbox);
  void stop();

  void set_credit(std::uint32_t spans) override;
  void had(chunker::SpanIndex span) override;
  void bad(chunker::SpanIndex span, const chunker::Origin& origin) override;

  // Until every span is had. `tick` is called about ten times a second from the calling thread; false ends the waiting with
  // `interrupted`. Other errors: the source's; content_altered for a span that did not verify.
  Result<> wait_complete(const std::function<bool()>& tick);

 private:
  void run(chunker::SpanInbox& inbox);
  // The next span to read, once there is credit for it. Nothing: no more.
  std::optional<std::uint32_t> next();
  void fail_with(Error error);

  const std::span<const chunker::Span> spans_;
  chunker::ChunkSource& source_;
  const std::uint32_t ahead_;
  std::mutex mutex_;
  std::condition_variable changed_, ended_;  // for the thread; for who waits
  std::uint32_t credit_ = 0;
  std::uint32_t next_ = 0;
  std::uint32_t had_ = 0;
  std::optional<Error> error_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace stampede::deploy

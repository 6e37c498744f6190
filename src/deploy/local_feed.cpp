#include "src/deploy/local_feed.h"

#include <algorithm>
#include <chrono>

namespace stampede::deploy {

namespace {
constexpr std::chrono::milliseconds kTick{100};
constexpr std::uint32_t kAheadOfAWorker = 3;
}  // namespace

LocalFeed::LocalFeed(std::span<const chunker::Span> spans, chunker::ChunkSource& source)
    : spans_(spans), source_(source), ahead_(1 + kAheadOfAWorker * std::max(1U, std::thread::hardware_concurrency())) {}

void LocalFeed::start(chunker::SpanInbox& inbox) {
  thread_ = std::thread([this, &inbox] { run(inbox); });
}

void LocalFeed::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void LocalFeed::set_credit(std::uint32_t spans) {
  {
    const std::scoped_lock lock(mutex_);
    credit_ = spans;
  }
  changed_.notify_one();
}

void LocalFeed::had(chunker::SpanIndex /*span*/) {
  const std::scoped_lock lock(mutex_);
  if (++had_ == spans_.size()) ended_.notify_all();
  changed_.notify_one();
}

void LocalFeed::bad(chunker::SpanIndex span, const chunker::Origin& /*origin*/) {
  fail_with({Code::content_altered, fmt::format("span {} of the image is not what the manifest names", span.value)});
}

void LocalFeed::fail_with(Error error) {
  const std::scoped_lock lock(mutex_);
  if (!error_) error_ = std::move(error);
  stop_ = true;
  changed_.notify_all();
  ended_.notify_all();
}

std::optional<std::uint32_t> LocalFeed::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stop_ || next_ == spans_.size() || next_ - had_ < std::min(credit_, ahead_); });
  if (stop_ || next_ == spans_.size()) return std::nullopt;
  return next_++;
}

void LocalFeed::run(chunker::SpanInbox& inbox) {
  while (const auto index = next()) {
    auto span = source_.gather(spans_[*index].chunks);
    if (!span) return fail_with(std::move(span).error());
    span->index = {*index};
    inbox.deliver(*std::move(span), {});
  }
}

Result<> LocalFeed::wait_complete(const std::function<bool()>& tick) {
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, kTick, [this] { return error_ || had_ == spans_.size(); })) {
    lock.unlock();
    if (!tick()) return fail(Code::interrupted, "reading the image was interrupted");
    lock.lock();
  }
  if (error_) return std::unexpected(*error_);
  return {};
}

}  // namespace stampede::deploy

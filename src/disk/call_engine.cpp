#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "src/disk/engine.h"

namespace stampede::disk {

namespace {

// Each waits in one call; more than these gain nothing with transfers of up to a megabyte.
constexpr std::uint32_t kMostThreads = 8;

class CallEngine final : public Engine {
 public:
  explicit CallEngine(const EngineOptions& options) : fd_(options.fd) {
    const std::uint32_t count = std::clamp(options.depth, 1U, kMostThreads);
    for (std::uint32_t i = 0; i < count; ++i) threads_.emplace_back([this] { work(); });
  }
  ~CallEngine() override;
  CallEngine(const CallEngine&) = delete;
  CallEngine& operator=(const CallEngine&) = delete;

  std::string_view name() const override { return "pwritev2"; }
  void start(const Request& request) override;
  void wait(bool block, std::vector<Completion>& out) override;
  void wake() override;

 private:
  void work();
  int transfer(const Request& request) const;

  const int fd_;
  std::mutex mutex_;
  std::condition_variable started_, completed_;
  std::deque<Request> requests_;
  std::vector<Completion> completions_;
  bool woken_ = false;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

CallEngine::~CallEngine() {
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  started_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void CallEngine::start(const Request& request) {
  {
    const std::scoped_lock lock(mutex_);
    requests_.push_back(request);
  }
  started_.notify_one();
}

void CallEngine::wait(bool block, std::vector<Completion>& out) {
  std::unique_lock lock(mutex_);
  if (block) completed_.wait(lock, [this] { return woken_ || !completions_.empty(); });
  woken_ = false;
  out.insert(out.end(), completions_.begin(), completions_.end());
  completions_.clear();
}

void CallEngine::wake() {
  {
    const std::scoped_lock lock(mutex_);
    woken_ = true;
  }
  completed_.notify_one();
}

void CallEngine::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    started_.wait(lock, [this] { return stop_ || !requests_.empty(); });
    if (requests_.empty()) return;
    const Request request = requests_.front();
    requests_.pop_front();
    lock.unlock();
    const int result = transfer(request);
    lock.lock();
    completions_.push_back({request.tag, result});
    completed_.notify_one();
  }
}

int CallEngine::transfer(const Request& request) const {
  const iovec part{request.bytes.data(), request.bytes.size()};
  const auto at = static_cast<off_t>(request.at);
  const ssize_t moved = request.write ? ::pwritev2(fd_, &part, 1, at, 0) : ::preadv2(fd_, &part, 1, at, 0);
  return moved < 0 ? -errno : static_cast<int>(moved);
}

}  // namespace

std::unique_ptr<Engine> open_call_engine(const EngineOptions& options) { return std::make_unique<CallEngine>(options); }

}  // namespace stampede::disk

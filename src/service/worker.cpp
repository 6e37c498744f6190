#include "src/service/worker.h"

namespace stampede::service {

Worker::Worker(net::Loop& loop) : loop_(loop), thread_([this] { work(); }) {}

Worker::~Worker() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Worker::run(Work work) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(work));
  }
  wake_.notify_one();
}

void Worker::work() {
  while (true) {
    Work next;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      next = std::move(queue_.front());
      queue_.pop_front();
    }
    // The work goes with its answer: what it holds (sessions) ends on the loop.
    auto answer = next();
    loop_.post([work = std::move(next), answer = std::move(answer)] { answer(); });
  }
}

}  // namespace stampede::service

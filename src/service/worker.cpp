#include "src/service/worker.h"

namespace stampede::service {

Worker::Worker(net::Loop& loop) : loop_(loop), thread_([this] { work(); }) {}

Worker::~Worker() {
  queue_.stop();
  thread_.join();
}

void Worker::run(Work work) { queue_.push(std::move(work)); }

void Worker::work() {
  while (auto next = queue_.pop()) {
    // The work goes with its answer: what it holds (sessions) ends on the loop.
    auto answer = (*next)();
    loop_.post([work = *std::move(next), answer = std::move(answer)] { answer(); });
  }
}

}  // namespace stampede::service

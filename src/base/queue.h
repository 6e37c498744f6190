// What some threads put in and others take out, in order, until it is stopped. Thread-safe.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

namespace stampede {

template <class T>
class Queue {
 public:
  // Dropped, once the queue was stopped.
  void push(T item) {
    {
      const std::lock_guard lock(mutex_);
      if (stopped_) return;
      items_.push_back(std::move(item));
    }
    filled_.notify_one();
  }
  // Waits for an item. Nothing once the queue was stopped, whatever is in it.
  std::optional<T> pop() {
    std::unique_lock lock(mutex_);
    filled_.wait(lock, [this] { return stopped_ || !items_.empty(); });
    if (stopped_) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    return item;
  }
  // Everybody who waits, or will, comes back with nothing.
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    filled_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable filled_;
  std::deque<T> items_;
  bool stopped_ = false;
};

}  // namespace stampede

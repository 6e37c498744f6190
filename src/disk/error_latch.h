// The first error of a target: what comes later fails at once with the same words.
#pragma once

#include <mutex>
#include <optional>

#include "src/base/error.h"

namespace stampede::disk {

class ErrorLatch {
 public:
  void set(const Error& error) {
    const std::scoped_lock lock(mutex_);
    if (!error_) error_ = error;
  }
  Result<> check() const {
    const std::scoped_lock lock(mutex_);
    if (error_) return std::unexpected(*error_);
    return {};
  }

 private:
  mutable std::mutex mutex_;
  std::optional<Error> error_;
};

}  // namespace stampede::disk

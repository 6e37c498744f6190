// The images that a depot deploys, kept from the garbage collection (cache/store.h) though their tags be removed meanwhile.
// Thread-safe.
#pragma once

#include <map>
#include <mutex>
#include <optional>

#include "cache/store.h"

namespace stampede::service {

// So long after it was last asked for: a target that lost its connection may come back.
inline constexpr Duration kHoldFor = std::chrono::minutes(15);

class Holds {
 public:
  explicit Holds(cache::Store& store) : store_(store) {}

  // The record that counts of an image, which is held from now on; nothing where there is none. Error: that of the catalog.
  Result<std::optional<cache::TagRow>> find(const chunker::ImageRef& image, Instant now);
  // Error: that of taking a lease.
  Result<> hold(const chunker::ImageId& image, Instant now);
  // Lets go of those that were not held anew for kHoldFor.
  void tend(Instant now);
  std::size_t size() const;

 private:
  struct Held {
    cache::Lease lease;
    Instant until;
  };
  cache::Store& store_;
  mutable std::mutex mutex_;
  std::map<chunker::ImageId, Held> held_;  // at most one for each image
};

}  // namespace stampede::service

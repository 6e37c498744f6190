#include "src/service/holds.h"

namespace stampede::service {

Result<std::optional<cache::TagRow>> Holds::find(const chunker::ImageRef& image, Instant now) {
  STAMPEDE_TRY(auto found, store_.catalog().find_tag(image));
  while (found) {
    STAMPEDE_CHECK(hold(found->image, now));
    // Only what is still there once it is held is kept.
    STAMPEDE_TRY(auto still, store_.catalog().find_tag(image));
    if (still && still->image == found->image) return still;
    found = std::move(still);
  }
  return std::nullopt;
}

Result<> Holds::hold(const chunker::ImageId& image, Instant now) {
  const std::lock_guard lock(mutex_);
  auto at = held_.find(image);
  if (at == held_.end()) {
    STAMPEDE_TRY(cache::Lease lease, store_.lease(image));
    at = held_.emplace(image, Held{std::move(lease), now}).first;
  }
  at->second.until = now + kHoldFor;
  return {};
}

void Holds::tend(Instant now) {
  const std::lock_guard lock(mutex_);
  std::erase_if(held_, [&](const auto& held) { return held.second.until <= now; });
}

std::size_t Holds::size() const {
  const std::lock_guard lock(mutex_);
  return held_.size();
}

}  // namespace stampede::service

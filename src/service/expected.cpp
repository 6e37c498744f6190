#include "src/service/expected.h"

#include <algorithm>

namespace stampede::service {

namespace {

bool counts(const std::weak_ptr<const Instant>& place, Instant now) {
  const auto until = place.lock();
  return until != nullptr && now < *until;
}

}  // namespace

Expected::Place Expected::add(const chunker::ImageId& image, Instant now) {
  for (auto& [_, places] : places_) std::erase_if(places, [&](const auto& place) { return !counts(place, now); });
  std::erase_if(places_, [](const auto& each) { return each.second.empty(); });
  auto place = std::make_shared<const Instant>(now + kListensWithin);
  places_[image].push_back(place);
  return place;
}

bool Expected::any(const chunker::ImageId& image, Instant now) const {
  const auto found = places_.find(image);
  return found != places_.end() && std::ranges::any_of(found->second, [&](const auto& place) { return counts(place, now); });
}

}  // namespace stampede::service

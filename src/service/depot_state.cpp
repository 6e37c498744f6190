#include "src/service/depot_state.h"

#include <algorithm>
#include <iterator>

#include <spdlog/spdlog.h>

namespace stampede::service {

namespace {

// The space of a removed pack is free when nobody has it open any more.
constexpr Duration kLookEvery = std::chrono::seconds(30);

}  // namespace

void DepotState::with_room(const chunker::ImageId& image, RoomReady ready) {
  if (const auto found = rooms_.find(image); found != rooms_.end()) return ready(found->second);
  auto& waiting = opening_[image];
  waiting.push_back(std::move(ready));
  if (waiting.size() > 1) return;
  worker.run([this, image] {
    const auto held = holds.hold(image, system_clock().now());
    auto opened = held ? SwarmRoom::open(store, image, reader) : Result<std::shared_ptr<SwarmRoom>>(pass(held.error()));
    return [this, image, opened = std::move(opened)] {
      if (opened) {
        rooms_[image] = *opened;
        if (cast_) (*opened)->cast(loop_, next_group(), [this, image] { return expected.any(image, system_clock().now()); });
      }
      const auto all = opening_.extract(image);
      for (const RoomReady& each : all.mapped()) each(opened);
    };
  });
}

// Images that are deployed at the same time are told apart by port, and anyway by stream and key.
CastOptions DepotState::next_group() {
  CastOptions options = *cast_;
  options.group.port = static_cast<std::uint16_t>(options.group.port + cast_ports_++ % kCastPorts);
  return options;
}

void DepotState::tend_rooms(Instant now) {
  for (auto room = rooms_.begin(); room != rooms_.end();) {
    room->second->tell_members(now);
    room = room->second->empty() ? rooms_.erase(room) : std::next(room);
  }
}

void DepotState::tend_store(Instant now) {
  for (const auto& [image, room] : rooms_)
    if (const auto held = holds.hold(image, now); !held) spdlog::warn("holding an image: {}", held.error().message);
  holds.tend(now);
  if (now < next_look_) return;
  next_look_ = now + kLookEvery;
  worker.run([this] {
    if (const auto seen = store.refresh(); !seen) spdlog::warn("looking for packs: {}", seen.error().message);
    return [] {};
  });
}

std::vector<net::CastStatus> DepotState::streams() const {
  std::vector<net::CastStatus> all;
  for (const auto& [image, room] : rooms_) std::ranges::move(room->streams(), std::back_inserter(all));
  return all;
}

bool DepotState::counts(const trust::PublicKey& node, Instant now, unsigned Hour::* what) {
  Hour& hour = hours_[node];
  if (now - hour.since >= std::chrono::hours(1)) hour = {now};
  return ++(hour.*what) <= kWritesAnHour;
}

bool DepotState::names_bad_peer(const trust::PublicKey& node, const trust::PublicKey& bad) {
  auto& named = bad_peers_[node];
  return named.size() < kBadPeersOfANode && named.insert(bad).second;
}

}  // namespace stampede::service

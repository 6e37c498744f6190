#include "transport/swarm/availability.h"

#include <utility>

namespace stampede::swarm {

namespace {

Bitmap complement(const Bitmap& bits) {
  Bitmap out(bits.size());
  for (std::uint32_t i = 0; i < bits.size(); ++i) {
    if (!bits.test(i)) out.set(i);
  }
  return out;
}

// How many spans of a in each block stand in b too.
BlockCounts count_both(const Bitmap& a, const Bitmap& b, std::uint64_t flip_b = 0) {
  BlockCounts out(a.size());
  for (std::uint32_t i = 0; i < a.words(); ++i) {
    const std::uint64_t both = a.word(i) & (b.word(i) ^ flip_b);
    if (both != 0) out.add(i * 64, static_cast<std::uint32_t>(std::popcount(both)));
  }
  return out;
}

}  // namespace

Availability::Availability(const Bitmap& have) : open_(complement(have)), held_(have.size()) { count_orphans(); }

void Availability::count_orphans() { orphans_ = count_both(open_, held_, ~std::uint64_t{0}); }

void Availability::open(std::uint32_t span) {
  if (!open_.set(span)) return;
  if (!held_.test(span)) orphans_.add(span);
  for (auto& [id, peer] : peers_) {
    if (peer.has.test(span)) peer.useful.add(span);
  }
}

void Availability::close(std::uint32_t span) {
  if (!open_.clear(span)) return;
  if (!held_.test(span)) orphans_.remove(span);
  for (auto& [id, peer] : peers_) {
    if (peer.has.test(span)) peer.useful.remove(span);
  }
}

void Availability::add(PeerId peer, Bitmap has) {
  remove(peer);
  held_.set_all(has);
  BlockCounts useful = count_both(has, open_);
  peers_.emplace(peer, Holder{std::move(has), std::move(useful)});
  count_orphans();
}

void Availability::remove(PeerId peer) {
  if (peers_.erase(peer) == 0) return;
  held_ = Bitmap(open_.size());
  for (const auto& [id, other] : peers_) held_.set_all(other.has);
  count_orphans();
}

bool Availability::announce(PeerId peer, std::uint32_t span) {
  const auto at = peers_.find(peer);
  if (at == peers_.end() || !at->second.has.set(span)) return false;
  const bool open = open_.test(span);
  if (open) at->second.useful.add(span);
  if (!held_.set(span)) return false;
  if (open) orphans_.remove(span);
  return open;
}

void Availability::retract(PeerId peer, std::uint32_t span) {
  const auto at = peers_.find(peer);
  if (at == peers_.end() || !at->second.has.clear(span)) return;
  const bool open = open_.test(span);
  if (open) at->second.useful.remove(span);
  if (holders(span) > 0) return;
  held_.clear(span);
  if (open) orphans_.add(span);
}

bool Availability::holds(PeerId peer, std::uint32_t span) const {
  const auto at = peers_.find(peer);
  return at != peers_.end() && at->second.has.test(span);
}

std::uint32_t Availability::useful(PeerId peer) const {
  const auto at = peers_.find(peer);
  return at == peers_.end() ? 0 : at->second.useful.total();
}

std::uint32_t Availability::holders(std::uint32_t span) const {
  std::uint32_t n = 0;
  for (const auto& [id, peer] : peers_) n += peer.has.test(span) ? 1 : 0;
  return n;
}

std::optional<std::uint32_t> Availability::rarest(PeerId peer, Random& random, const Filter& allowed) const {
  constexpr unsigned kStarts = 3;
  constexpr unsigned kPerStart = 8;
  const auto at = peers_.find(peer);
  if (at == peers_.end() || at->second.useful.total() == 0) return std::nullopt;
  const Holder& holder = at->second;
  std::optional<std::uint32_t> best;
  std::uint32_t best_holders = 0;
  std::uint64_t ties = 0;
  const bool few = holder.useful.total() <= kStarts * kPerStart;
  for (unsigned start = 0; start < (few ? 1 : kStarts); ++start) {
    unsigned left = few ? kStarts * kPerStart : kPerStart;
    const auto from = static_cast<std::uint32_t>(random.below(open_.size()));
    scan_around(
        holder.useful, open_.words(), from, [&](std::uint32_t i) { return holder.has.word(i) & open_.word(i); },
        [&](std::uint32_t span) {
          if (!allowed(span)) return true;
          const std::uint32_t n = holders(span);
          if (!best || n < best_holders) ties = 0;
          if (!best || n <= best_holders) {
            best_holders = n;
            if (random.below(++ties) == 0) best = span;
          }
          return --left > 0;
        });
  }
  return best;
}

std::optional<std::uint32_t> Availability::orphan(Random& random, const Filter& allowed) const {
  if (orphans_.total() == 0) return std::nullopt;
  std::optional<std::uint32_t> found;
  scan_around(
      orphans_, open_.words(), static_cast<std::uint32_t>(random.below(open_.size())),
      [&](std::uint32_t i) { return open_.word(i) & ~held_.word(i); },
      [&](std::uint32_t span) {
        if (allowed(span)) found = span;
        return !found;
      });
  return found;
}

std::optional<std::uint32_t> Availability::held(Random& random, const Filter& allowed) const {
  if (open_.count() == orphans_.total()) return std::nullopt;
  const auto from = static_cast<std::uint32_t>(random.below(open_.words()));
  for (std::uint32_t k = 0; k < open_.words(); ++k) {
    const std::uint32_t i = (from + k) % open_.words();
    for (std::uint64_t word = open_.word(i) & held_.word(i); word != 0; word &= word - 1) {
      const std::uint32_t span = i * 64 + static_cast<std::uint32_t>(std::countr_zero(word));
      if (allowed(span)) return span;
    }
  }
  return std::nullopt;
}

}  // namespace stampede::swarm

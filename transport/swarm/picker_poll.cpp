// What to ask now: the picker's decisions.
#include <algorithm>
#include <utility>

#include "transport/swarm/picker.h"
#include "transport/swarm/picker_state.h"

namespace stampede::swarm {

std::vector<Ask> Picker::poll(Instant now) {
  State& s = *state_;
  std::vector<Ask> out;
  s.next.reset();
  if (s.have.full()) return out;
  s.expire(now);
  s.ask_any(now, out);
  s.ask_peers(now, out);
  s.ask_by_name(now, out);
  s.hedge(now, out);
  s.plan(now);
  return out;
}

// Fresh spans first, since nobody else can get them for us; but where peers have something too, half of the credit is
// theirs, or a depot shared by many would leave our link idle.
void Picker::State::ask_any(Instant now, std::vector<Ask>& out) {
  if (!depot || dry(now)) return;
  const std::uint32_t live = live_any();
  const std::uint32_t fresh = spans.orphans();  // at most
  const bool shared = spans.open_count() > spans.orphans();
  const std::uint32_t limit = std::min(shared ? std::max(1U, credit / 2) : credit, fresh);
  if (live >= limit) return;
  const std::uint32_t count = std::min({limit - live, depot_room(), credit_left()});
  if (count == 0) return;
  for (std::uint32_t i = 0; i < count; ++i) ask(*depot, kAny, now);
  out.push_back({Ask::Kind::any, kDepot, 0, count});
}

void Picker::State::ask_peers(Instant now, std::vector<Ask>& out) {
  struct Choice {
    PeerId id;
    Source* source;
    Duration load;
  };
  // The usual state of a swarm: whatever a peer announces is asked for at once.
  if (spans.open_count() == spans.orphans() || credit_left() == 0) return;
  std::vector<Choice> choices;
  for (auto& [id, peer] : peers) {
    if (peer.room() > 0 && spans.useful(id) > 0) choices.push_back({id, &peer, {}});
  }
  // Begin anywhere: equals are taken in this order.
  if (!choices.empty())
    std::ranges::rotate(choices, choices.begin() + static_cast<std::ptrdiff_t>(random.below(choices.size())));
  for (std::uint32_t left = credit_left(); left > 0 && !choices.empty();) {
    for (Choice& c : choices) c.load = c.source->expected(now) * (c.source->busy() + 1);
    const auto best =
        std::ranges::min_element(choices, {}, [](const Choice& c) { return std::pair(c.load, c.source->busy()); });
    const auto span = spans.rarest(best->id, random, [&](std::uint32_t i) { return !best->source->has_asked(i); });
    if (span) {
      start(*best->source, *span, now);
      out.push_back({Ask::Kind::span, best->id, *span, 0});
      --left;
    }
    if (!span || best->source->room() == 0) choices.erase(best);
  }
}

std::uint32_t Picker::State::live_by_name() const {
  return static_cast<std::uint32_t>(
      std::ranges::count_if(depot->asked(), [](const Asked& a) { return a.live && a.span != kAny; }));
}

bool Picker::State::peers_busy() const {
  return std::ranges::any_of(
      peers, [](const auto& p) { return std::ranges::any_of(p.second.asked(), [](const Asked& a) { return a.live; }); });
}

Duration Picker::State::grace(Instant now) const {
  if (alone()) return {};
  const Duration least = std::max({kDepotGrace, depot ? depot->expected(now) : Duration{}, shared()});
  return Duration(static_cast<Duration::rep>(static_cast<double>(least.count()) * patience));
}

// The depot has nothing fresh, that is, others hold or await what is lacking here. Yet it is asked for what no peer can give
// after the grace, and for what peers hold if they do nothing for us, or do it much more slowly than the depot would.
void Picker::State::ask_by_name(Instant now, std::vector<Ask>& out) {
  if (!dry(now)) return;
  const bool quiet = now - quiet_since >= grace(now);
  const bool all = (quiet && !peers_busy()) || pace(now) > slow_pace(now);
  if (!quiet && !all) return;
  const std::uint32_t limit = alone() ? depot->max_window() : std::max(1U, depot->max_window() / active);
  // What peers give as well may be slow because our own line is full: a few then tell how the depot fares.
  const std::uint32_t shared_limit = std::min(limit, kLeastWindow);
  const auto allowed = [&](std::uint32_t span) {
    const auto at = refused.find(span);
    return !depot->has_asked(span) && (at == refused.end() || now >= at->second);
  };
  while (depot_room() > 0 && credit_left() > 0 && live_by_name() < limit) {
    std::optional<std::uint32_t> span;
    if (quiet) span = spans.orphan(random, allowed);
    if (!span && all && live_by_name() < shared_limit) span = spans.held(random, allowed);
    if (!span) break;
    start(*depot, *span, now);
    out.push_back({Ask::Kind::span, kDepot, *span, 0});
  }
}

// In the end, when all is asked for, idle sources double requests that take long, so that one slow peer does not hold up the
// last spans.
void Picker::State::hedge(Instant now, std::vector<Ask>& out) {
  if (!end_game()) return;
  auto hedges = static_cast<std::uint32_t>(std::ranges::count_if(under_way, [](const auto& u) { return u.second > 1; }));
  std::vector<std::pair<PeerId, Asked>> slow;
  const auto collect = [&](PeerId id, const Source& source) {
    for (const Asked& a : source.asked()) {
      if (a.live && a.span != kAny && now - a.at >= kHedgeAfter && under_way.at(a.span) == 1) slow.emplace_back(id, a);
    }
  };
  for (const auto& [id, peer] : peers) collect(id, peer);
  if (depot) collect(kDepot, *depot);
  std::ranges::sort(slow, {}, [](const auto& s) { return s.second.at; });
  for (const auto& [id, request] : slow) {
    if (hedges >= kMaxHedges) return;
    if (hedge_one(id, request, now, out)) ++hedges;
  }
}

bool Picker::State::hedge_one(PeerId slow, const Asked& request, Instant now, std::vector<Ask>& out) {
  const Duration age = now - request.at;
  std::pair<PeerId, Source*> best{slow, nullptr};
  for (auto& [id, peer] : peers) {
    if (id == slow || peer.room() == 0 || peer.has_asked(request.span) || !spans.holds(id, request.span)) continue;
    if (2 * peer.expected(now) > age) continue;
    if (best.second == nullptr || peer.expected(now) < best.second->expected(now)) best = {id, &peer};
  }
  if (best.second == nullptr && slow != kDepot && depot_room() > 0 && !depot->has_asked(request.span) &&
      !refused.contains(request.span) && age > 2 * std::max({kDepotGrace / 2, grace(now), depot->expected(now)})) {
    best = {kDepot, &*depot};
  }
  if (best.second == nullptr) return false;
  start(*best.second, request.span, now);
  out.push_back({Ask::Kind::span, best.first, request.span, 0});
  return true;
}

void Picker::State::plan(Instant now) {
  if (deadline != Instant::max()) wake(deadline);
  if (end_game() && !under_way.empty()) wake(now + kHedgeCheck);
  if (!dry(now) || credit_left() == 0 || spans.open_count() == 0) return;
  if (any_again > now) wake(any_again);
  for (const Instant at : {quiet_since + grace(now), last_arrival + slow_pace(now) + Duration(1)}) {
    if (at > now) wake(at);
  }
}

}  // namespace stampede::swarm

// A picker's memory and its decisions. Private to this room.
//
// Of a span that is lacking exactly one holds: it is open (Availability), under way (asked of one source or two, live),
// received and not yet verified, or expected from multicast. Credit is spent on "any" requests that are live, spans under
// way and spans received.
#pragma once

#include <map>
#include <unordered_map>
#include <unordered_set>

#include "transport/swarm/availability.h"
#include "transport/swarm/source.h"

namespace stampede::swarm {

// How long "any" is left alone after NoneLeft.
inline constexpr Duration kAnyAgain = std::chrono::milliseconds(100);
// How long the depot is not asked by name for a span that it refused or sent damaged.
inline constexpr Duration kRefusedAgain = std::chrono::seconds(1);
// Peers are never called slow while spans come faster than twice this.
inline constexpr Duration kQuickest = std::chrono::milliseconds(10);
// A request younger than this is never doubled.
inline constexpr Duration kHedgeAfter = std::chrono::milliseconds(250);
inline constexpr std::uint32_t kMaxHedges = 4;
inline constexpr Duration kHedgeCheck = std::chrono::milliseconds(25);

struct Picker::State {
  State(const PickerConfig& picker_config, Bitmap held, Random& seed);

  // Spans' states.
  bool wanted(std::uint32_t span) const { return span < config.span_count && !have.test(span) && !received.contains(span); }
  std::uint32_t spent() const;
  std::uint32_t credit_left() const { return credit > spent() ? credit - spent() : 0; }
  void ask(Source& source, std::uint32_t span, Instant now);
  void start(Source& source, std::uint32_t span, Instant now);  // asks for it by name
  void stop(std::uint32_t span);  // one live request for it less; open again if it was the last
  void expect(std::uint32_t span);
  void reopen(std::uint32_t span, Instant now);
  void settle(std::uint32_t span);  // it needs no request any more
  void forget(Source& source);      // a source that goes: none of its requests is live
  void expire(Instant now);
  Source* source_of(PeerId peer);

  // Decisions, in the order of poll().
  void ask_any(Instant now, std::vector<Ask>& out);
  void ask_peers(Instant now, std::vector<Ask>& out);
  void ask_by_name(Instant now, std::vector<Ask>& out);
  void hedge(Instant now, std::vector<Ask>& out);
  bool hedge_one(PeerId slow, const Asked& request, Instant now, std::vector<Ask>& out);
  bool alone() const { return active <= 1; }
  // The depot has nothing fresh for us: it has said so, or everything that is open has its holders. While multicast is to
  // bring more, what is fresh to the depot is mostly that; and what it left to others they hold or are about to.
  bool dry(Instant now) const { return depot && (expected.count() > 0 || now < any_again || spans.orphans() == 0); }
  bool end_game() const {
    return spans.open_count() == spans.orphans() && config.span_count - have.count() <= std::max(credit, 16U);
  }
  std::uint32_t live_any() const;
  std::uint32_t live_by_name() const;
  bool peers_busy() const;
  std::uint32_t depot_room() const { return !depot ? 0 : alone() ? depot->whole_room() : depot->room(); }
  Duration grace(Instant now) const;
  // Time between spans that come without asking the depot by name, and what it must exceed for the depot to be asked in
  // addition to peers.
  Duration pace(Instant now) const { return std::max(interval, now - last_arrival); }
  Duration slow_pace(Instant now) const { return 2 * std::max({kQuickest, depot->per_span(now), shared()}); }
  // In a large swarm the first spans take longer to get round, and hardly anybody has an answer to judge the depot by: wait
  // for longer the more there are who would all ask it at once.
  Duration shared() const { return active * std::chrono::milliseconds(1); }
  void wake(Instant candidate) { next = next ? std::min(*next, candidate) : candidate; }
  void plan(Instant now);

  PickerConfig config;
  Bitmap have;
  SeededRandom random;
  Availability spans;
  Bitmap expected;  // from multicast, or from the target's own disk
  std::uint32_t credit = 0;
  std::uint32_t active = 1;
  std::optional<Source> depot;
  std::map<PeerId, Source> peers;
  std::unordered_set<PeerId> banned;                          // sent a bad span
  std::unordered_map<std::uint32_t, std::uint8_t> under_way;  // span → live requests for it
  std::unordered_map<std::uint32_t, PeerId> received;         // not yet verified, and who sent it
  std::unordered_map<std::uint32_t, Instant> refused;         // by the depot, and until when to leave it alone
  Instant any_again{};                                        // after NoneLeft
  Instant quiet_since{};                                      // nothing has come and no orphan has found a holder since
  Instant last_arrival{};                                     // of a span from a peer or under "any"
  Duration interval{};                                        // between these, smoothed
  double patience = 1;  // random factor on the grace, so that a rack does not ask the depot in one moment
  std::uint64_t duplicates = 0;
  Instant deadline = Instant::max();  // no live request's deadline is earlier
  std::optional<Instant> next;
};

}  // namespace stampede::swarm

// A target's side of the swarm: which span to ask from whom. Pure: fed with events and a time, returns requests.
//
// From the depot it asks "any": the depot knows what it has given to whom and sends spans that no active member holds, so
// that each leaves it about once. What others hold comes from them: random among the rarest, the least busy holder first.
// When the depot has nothing fresh and no peer holds what is lacking, it waits kDepotGrace for the swarm (longer where the
// depot answers slowly or the swarm is large), then asks the depot for it by name; a swarm of one never waits (no other
// active member). It also asks by name for what peers hold while they deliver much more slowly than the depot would.
//
// A request that takes longer than its peer's usual time (at least kRequestTimeout) is asked again elsewhere; the first good
// answer wins. When all is asked for that anybody holds, idle sources double requests that take long, a few at a time.
// A peer that was named bad is never asked again, even if it joins anew. Late duplicates are reported as such.
//
// Multicast: what it is expected to bring is left to it, but for what is under way already; one span of it after the other
// is released when it fails to. While more is expected the depot is not asked for "any": to the depot just that is fresh.
// What it brings is taken whether there is credit or not: the caller bounds it.
//
// Credit: at most `credit` spans may be under way; the caller sets it from its free slabs. A span asked from two sources
// counts once; one that is overdue counts no longer, and its answer is taken if there is credit for it then.
//
// A span costs about 15 us from asking to had() with 32 peers, whether there are 10,000 spans or 16 M; a peer that joins or
// leaves costs a walk of the bitmaps (20 us, 55 ms). Memory: 4 bits for a span and 1 more for
// each peer. Not thread-safe. Spans at or above span_count, unknown peers and bitmaps of another size are ignored.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "src/base/bitmap.h"
#include "src/base/seams.h"

namespace stampede::swarm {

using PeerId = std::uint32_t;
inline constexpr PeerId kDepot = 0;
inline constexpr PeerId kMulticast = ~PeerId{0};  // never a peer

struct PickerConfig {
  std::uint32_t span_count = 0;
  std::uint32_t depot_window = 8;  // spans under way from the depot
  std::uint32_t peer_window = 4;   // from one peer
};

inline constexpr Duration kDepotGrace = std::chrono::milliseconds(250);
inline constexpr Duration kRequestTimeout = std::chrono::seconds(3);

struct Ask {
  enum class Kind { any, span } kind = Kind::span;
  PeerId peer = kDepot;
  std::uint32_t span = 0;   // of span
  std::uint32_t count = 0;  // of any
  bool operator==(const Ask&) const = default;
};

class Picker {
 public:
  // `have`: what the target holds already (resume). `random` must outlive the picker.
  Picker(const PickerConfig& config, Bitmap have, Random& random);
  ~Picker();
  Picker(Picker&&) noexcept;
  Picker& operator=(Picker&&) noexcept;

  // Sources come and go. The depot is joined as kDepot, holds everything, and may be lost and come back.
  void peer_joined(PeerId peer, Bitmap has, Instant now);
  void peer_left(PeerId peer, Instant now);
  void peer_has(PeerId peer, std::uint32_t span, Instant now);
  // Active members of the swarm, ourselves counted; as the depot says.
  void set_active(std::uint32_t active, Instant now);
  void set_credit(std::uint32_t credit);

  // A span's bytes have come from `peer`, not yet verified: it leaves the wire but keeps its credit until had() or bad().
  // False: it was not wanted any more (a late duplicate) or never asked of that peer: drop it.
  bool received(PeerId peer, std::uint32_t span, Instant now);
  // The same for one that came by multicast, unasked. False: it is here already, or on its way to be verified: drop it.
  bool caught(std::uint32_t span);
  // Multicast is to bring all that is lacking and not under way, or somebody else these spans of it: they are not asked for,
  // until released.
  void expect_all();
  void expect(const Bitmap& spans);
  void release(std::uint32_t span, Instant now);
  void release_all(Instant now);
  // Verified, from any path (multicast and the local disk too).
  void had(std::uint32_t span, Instant now);
  // Verification failed: wanted again, from somebody else. The caller drops that peer with peer_left(). (The depot and
  // multicast are not banned; the depot is not asked by name for a second for what it sent.)
  void bad(std::uint32_t span, Instant now);
  void not_held(PeerId peer, std::uint32_t span, Instant now);
  // The depot's NoneLeft: `count` of what "any" asked for will not come.
  void none_left(std::uint32_t count, Instant now);

  // What to ask now. Call after every batch of events, and at next_poll().
  std::vector<Ask> poll(Instant now);
  std::optional<Instant> next_poll() const;

  bool complete() const;
  const Bitmap& have() const;
  // How often received() was false.
  std::uint64_t duplicates() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stampede::swarm

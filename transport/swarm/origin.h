// The depot's side of a swarm: who takes part, who holds what, and which span to give to whom. Pure.
//
// allot() picks spans that the asker lacks, that no member holds and that are not on their way to another active member, in
// the image's order (sequential reads here, sequential writes there). So each span leaves the depot about once, whatever the
// number of members; after a member dies, what only it had is fresh again. A swarm of one gets everything.
//
// With several members the depot runs at most kAhead spans ahead of the one that holds most (four for each, if those are
// more). Without that a depot that is faster than its members (theirs is the work of verifying and writing) gives everything
// out at once, the members trade the whole image in random order, and each must keep all of it at hand; with it they move
// through the image together, and what one asks another for is still in its memory.
//
// What a member that does not serve holds or is sent counts for itself alone, and it is allotted nothing while another takes
// part that serves: it gets the spans from that one. A span that has been on its way for
// kActiveFor, or, when nothing else is fresh, for several times what is usual in this swarm, counts as lost on a slow or
// dead member: it is fresh again. What a member holds counts as held only while it is heard of.
//
// Memory: 2 bytes and 1 bit for a span and 1 bit more for each member (16 M spans and 100 members: 234 MiB). Not
// thread-safe. Spans at or above span_count and unknown members are ignored.
#pragma once

#include <memory>
#include <vector>

#include "src/base/bitmap.h"
#include "src/base/seams.h"

namespace stampede::swarm {

using MemberId = std::uint32_t;
// A member is active if it has not finished and was heard of within this time.
inline constexpr Duration kActiveFor = std::chrono::seconds(10);
// A span is never counted as lost on its way before this time.
inline constexpr Duration kLostAfter = std::chrono::milliseconds(250);

inline constexpr std::uint32_t kAhead = 96;

class Origin {
 public:
  explicit Origin(std::uint32_t span_count);
  ~Origin();
  Origin(Origin&&) noexcept;
  Origin& operator=(Origin&&) noexcept;

  // `serves`: it offers a port to peers. A member that is there already joins anew.
  void join(MemberId member, Bitmap have, Instant now, bool serves = true);
  void leave(MemberId member);
  void has(MemberId member, std::uint32_t span, Instant now);
  void heard(MemberId member, bool finished, Instant now);

  // Up to `count` spans to send to the member now; fewer means NoneLeft for the rest.
  std::vector<std::uint32_t> allot(MemberId member, std::uint32_t count, Instant now);
  // The member asked for this span by name and gets it.
  void asked(MemberId member, std::uint32_t span, Instant now);

  std::uint32_t active(Instant now) const;
  std::uint32_t members() const;
  bool known(MemberId member) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stampede::swarm

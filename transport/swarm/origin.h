// The depot's side of a swarm: who takes part, who holds what, and which span to give to whom. Pure.
//
// allot() picks spans that the asker lacks, that no member holds and that are not on their way to another active member, in
// the image's order (sequential reads here, sequential writes there). So each span leaves the depot about once, whatever the
// number of members; after a member dies, what only it had is fresh again. A swarm of one gets everything.
#pragma once

#include <memory>
#include <vector>

#include "src/base/seams.h"
#include "transport/swarm/bitmap.h"

namespace stampede::swarm {

using MemberId = std::uint32_t;
// A member is active if it has not finished and was heard of within this time.
inline constexpr Duration kActiveFor = std::chrono::seconds(10);

class Origin {
 public:
  explicit Origin(std::uint32_t span_count);
  ~Origin();
  Origin(Origin&&) noexcept;

  void join(MemberId member, Bitmap have, Instant now);
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

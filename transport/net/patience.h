// Whether a target has waited long enough for its depot. Pure: fed with events and times; the caller locks.
//
// The time runs since the start, the loss of a depot that was there, or the last useful thing, whichever came last. A depot
// was there if something useful came while it was up, or if it stayed for kThere: one that takes connections and drops them
// does not start the time anew.
#pragma once

#include <algorithm>
#include <string>

#include "src/base/error.h"
#include "transport/net/endpoint.h"
#include "transport/net/waiting.h"

namespace stampede::net {

class Patience {
 public:
  static constexpr Duration kThere = std::chrono::seconds(10);

  Patience(Endpoint depot, Duration limit, Instant now) : depot_(std::move(depot)), limit_(limit), started_(now) {}

  void useful(Instant now) { useful_ = now; }
  void up(Instant now) {
    up_ = ever_up_ = tried_ = true;
    warned_ = false;
    up_since_ = now;
  }
  void down(Instant now, std::string_view why) {
    tried_ = true;
    last_error_ = why;
    if (std::exchange(up_, false) && (useful_ >= up_since_ || now - up_since_ >= kThere)) lost_ = now;
  }

  bool depot_up() const { return up_; }
  Duration limit() const { return limit_; }
  // Since a depot that was there is gone. Meaningful while it is not up.
  Duration gone_for(Instant now) const { return now - std::max(started_, lost_); }
  // At least one attempt has been made, and the time is over.
  bool ended(Instant now) const { return tried_ && now - std::max({started_, lost_, useful_}) >= limit_; }
  Error why() const;
  // Once for each absence that lasts: that the depot is waited for; else nothing.
  std::string warning(Instant now);

 private:
  Endpoint depot_;
  Duration limit_;
  Instant started_, lost_, useful_, up_since_;
  bool up_ = false;
  bool ever_up_ = false;
  bool tried_ = false;
  bool warned_ = false;
  std::string last_error_ = "no answer yet";
};

}  // namespace stampede::net

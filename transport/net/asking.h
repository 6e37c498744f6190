// One thing that a caller waits for. What is asked after the caller was told to stop is a farewell: the receipt that says
// so.
#pragma once

#include "transport/net/node.h"

namespace stampede::net {

inline constexpr Duration kFarewell = std::chrono::seconds(2);

struct Asking {
  explicit Asking(const Waiting& waiting_) : waiting(waiting_), since(system_clock().now()), farewell(waiting_.stopped()) {}
  bool interrupted() const { return farewell ? system_clock().now() - since > kFarewell : waiting.stopped(); }

  const Waiting& waiting;
  Instant since;
  bool farewell;
};

}  // namespace stampede::net

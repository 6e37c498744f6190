// What multicast's state machines say, as messages of the wire, and back.
#pragma once

#include <utility>

#include "transport/multicast/report.h"
#include "transport/wire/messages.h"

namespace stampede::net {

wire::MulticastReport to_wire(const multicast::Report& report);
multicast::Report from_wire(const wire::MulticastReport& report);
void set_policy(wire::MulticastNews& news, const multicast::Policy& policy);
multicast::Policy policy_of(const wire::MulticastNews& news);

}  // namespace stampede::net

// How to report, in a message of the wire: times in microseconds, within bounds.
#pragma once

#include "transport/multicast/report.h"
#include "transport/wire/messages.h"

namespace stampede::net {

void set_policy(wire::MulticastNews& news, const multicast::Policy& policy);
multicast::Policy policy_of(const wire::MulticastNews& news);

}  // namespace stampede::net

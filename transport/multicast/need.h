// How much parity a generation will need. Private to this room.
#pragma once

#include <cstdint>
#include <span>

namespace stampede::multicast {

// The greatest number of parity symbols that a generation of k needs with a probability of at least 90 %: so many can be
// sent at once, without waiting to be asked, and hardly ever one too many. From the members' losses, taken as independent.
std::uint32_t sure_need(std::span<const double> losses, std::uint32_t k);

}  // namespace stampede::multicast

// How a depot multicasts.
#pragma once

#include <optional>
#include <vector>

#include "transport/net/caster.h"

namespace stampede::service {

// A route with its interface and MTU left open. Each image that is being deployed has a port of its own, the group's or one
// of the kCastPorts above it, and on each interface a stream.
struct CastOptions : net::CastRoute {
  // Indices; none: every interface that members come by.
  std::vector<unsigned> interfaces;
  // Nothing: as large as what passes to the first member of a stream. Who cannot take them gets the image without multicast.
  std::optional<std::size_t> most = {};
};

inline constexpr std::uint16_t kCastPorts = 256;

}  // namespace stampede::service

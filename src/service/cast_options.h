// How a depot multicasts.
#pragma once

#include <vector>

#include "src/base/seams.h"
#include "transport/net/endpoint.h"

namespace stampede::service {

struct CastOptions {
  // Each image that is being deployed has a port of its own, this one or one of the kCastPorts above it.
  net::Endpoint group{"239.77.83.1", 7441};
  // Indices; none: every interface that members come by.
  std::vector<unsigned> interfaces;
  unsigned ttl = 1;
  double rate = 117.5e6;   // bytes a second on the wire, for each image and interface
  std::size_t mtu = 1500;  // see net::CastRoute
  // A stream starts when so many have joined it, or `wait` after the first.
  std::uint32_t min_receivers = 1;
  Duration wait = std::chrono::seconds(30);
};

inline constexpr std::uint16_t kCastPorts = 256;

}  // namespace stampede::service

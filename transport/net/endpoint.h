// An address and port as people write them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "src/base/error.h"

namespace stampede::net {

struct Endpoint {
  std::string host;  // name or numeric address; empty: every address of this machine
  std::uint16_t port = 0;
  auto operator<=>(const Endpoint&) const = default;

  // "10.0.0.1:7440", "depot.lan:7440", "[fe80::1]:7440", ":7440"; without a port, `default_port`. Error: usage.
  static Result<Endpoint> parse(std::string_view text, std::uint16_t default_port);
  std::string text() const;
};

inline constexpr std::uint16_t kDepotPort = 7440;

}  // namespace stampede::net

#include "transport/net/endpoint.h"

#include <charconv>

namespace stampede::net {

Result<Endpoint> Endpoint::parse(std::string_view text, std::uint16_t default_port) {
  Endpoint endpoint{{}, default_port};
  std::string_view port;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == text.npos) return fail(Code::usage, "'{}' is not an address: ']' is missing", text);
    endpoint.host = text.substr(1, end - 1);
    port = text.substr(end + 1);
    if (!port.empty() && !port.starts_with(':')) return fail(Code::usage, "'{}' is not [ADDRESS]:PORT", text);
    if (!port.empty()) port.remove_prefix(1);
  } else {
    const auto colon = text.rfind(':');
    if (colon != text.find(':')) return fail(Code::usage, "write an IPv6 address as [ADDRESS]:PORT, not '{}'", text);
    endpoint.host = text.substr(0, colon);
    if (colon != text.npos) port = text.substr(colon + 1);
    if (colon != text.npos && port.empty()) return fail(Code::usage, "'{}' has no port after ':'", text);
  }
  if (!port.empty()) {
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
    if (error != std::errc{} || end != port.data() + port.size())
      return fail(Code::usage, "'{}' is not a port (0 to 65535)", port);
  }
  return endpoint;
}

std::string Endpoint::text() const {
  const std::string shown = host.empty() ? "*" : host;
  return shown.find(':') == shown.npos ? fmt::format("{}:{}", shown, port) : fmt::format("[{}]:{}", shown, port);
}

}  // namespace stampede::net

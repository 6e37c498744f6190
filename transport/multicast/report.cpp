#include "transport/multicast/report.h"

#include <algorithm>

namespace stampede::multicast {
namespace {

using namespace std::chrono_literals;

// Of the stream, for reports; half for the eager ones and half for the others.
constexpr double kShare = 0.005;
// A report of a few lacks and runs.
constexpr double kTypical = 200;
constexpr double kLeastEager = 32;
// A window is on the wire for about so long: 64 generations of 64 symbols.
constexpr double kWindowBytes = 64 * 64 * 1500;

Duration seconds(double s) { return Duration(static_cast<Duration::rep>(s * 1e9)); }

}  // namespace

std::size_t wire_size(const Report& report) {
  constexpr std::size_t kFixed = 8 + 8 + 4 + 4 + 4 + 4;      // frame, fields, two counts
  constexpr std::size_t kCarriage = 22 + 32 + 20 + 18 + 20;  // TLS record, TCP with timestamps, IPv4, Ethernet, its gap
  return kFixed + kCarriage + 8 * report.settled.size() + 6 * report.lacks.size();
}

Policy policy_for(std::size_t members, double bytes_per_second) {
  const double n = static_cast<double>(std::max<std::size_t>(1, members));
  const double reports = std::max(1.0, bytes_per_second * kShare / kTypical / 2);  // a second, of each kind
  const double quick = std::clamp(kWindowBytes / std::max(1.0, bytes_per_second) / 4, 0.005, 0.1);
  Policy out;
  // As many as the budget lets report at that pace; at least a few, more seldom if need be.
  const double eager = std::min(n, std::max(kLeastEager, reports * quick));
  out.quick = seconds(std::max(quick, eager / reports));
  out.eager = static_cast<std::uint16_t>(std::min(65535.0, eager / n * 65536));
  out.slow = std::max<Duration>(1s, seconds(n / reports));
  return out;
}

}  // namespace stampede::multicast

#include "transport/net/multicast_messages.h"

#include <algorithm>

namespace stampede::net {

namespace {
using Microseconds = std::chrono::duration<std::uint64_t, std::micro>;
constexpr std::uint64_t kShortest = 1000;  // whatever a depot says, reports are not closer together

std::uint64_t in_microseconds(Duration duration) {
  return std::chrono::duration_cast<Microseconds>(std::clamp<Duration>(duration, {}, std::chrono::hours(1))).count();
}
}  // namespace

static_assert(wire::kMaxRuns == multicast::kMaxRuns && wire::kMaxLacks == multicast::kMaxLacks);

wire::MulticastReport to_wire(const multicast::Report& report) {
  wire::MulticastReport out{report.sequence, report.loss, report.backlog, {}, {}};
  for (const auto& run : report.settled) out.settled.push_back({run.first, run.count});
  for (const auto& lack : report.lacks) out.lacks.push_back({lack.span, lack.generation, lack.missing});
  return out;
}

multicast::Report from_wire(const wire::MulticastReport& report) {
  multicast::Report out{report.sequence, report.loss, report.backlog, {}, {}};
  for (const auto& run : report.settled) out.settled.push_back({run.first, run.count});
  for (const auto& lack : report.lacks) out.lacks.push_back({lack.span, lack.generation, lack.missing});
  return out;
}

void set_policy(wire::MulticastNews& news, const multicast::Policy& policy) {
  news.eager = policy.eager;
  news.quick = in_microseconds(policy.quick);
  news.slow = in_microseconds(policy.slow);
}

multicast::Policy policy_of(const wire::MulticastNews& news) {
  return {news.eager, Microseconds(std::max(news.quick, kShortest)), Microseconds(std::max(news.slow, kShortest))};
}

}  // namespace stampede::net

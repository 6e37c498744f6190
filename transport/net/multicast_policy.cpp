#include "transport/net/multicast_policy.h"

#include <algorithm>

namespace stampede::net {

namespace {
using Microseconds = std::chrono::duration<std::uint64_t, std::micro>;
constexpr std::uint64_t kShortest = 1000;  // whatever a depot says, reports are not closer together

std::uint64_t in_microseconds(Duration duration) {
  return std::chrono::duration_cast<Microseconds>(std::clamp<Duration>(duration, {}, std::chrono::hours(1))).count();
}
}  // namespace

void set_policy(wire::MulticastNews& news, const multicast::Policy& policy) {
  news.eager = policy.eager;
  news.quick = in_microseconds(policy.quick);
  news.slow = in_microseconds(policy.slow);
}

multicast::Policy policy_of(const wire::MulticastNews& news) {
  return {news.eager, Microseconds(std::max(news.quick, kShortest)), Microseconds(std::max(news.slow, kShortest))};
}

}  // namespace stampede::net

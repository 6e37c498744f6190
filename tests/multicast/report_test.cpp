#include "transport/multicast/report.h"

#include <gtest/gtest.h>

namespace stampede::multicast {
namespace {

// Reports a second times a typical size, over the stream.
double feedback(std::size_t members, double rate) {
  const Policy policy = policy_for(members, rate);
  const double share = (policy.eager + 1) / 65536.0;
  const double n = static_cast<double>(members);
  const auto per_second = [](Duration d) { return 1 / std::chrono::duration<double>(d).count(); };
  const double reports = n * share * per_second(policy.quick) + n * (1 - share) * per_second(policy.slow);
  return reports * 200 / rate;
}

TEST(Policy, FeedbackStaysBelowOnePercentOfTheStream) {
  for (const double rate : {1e6, 6e6, 25e6, 125e6, 1.25e9}) {
    for (const std::size_t members : {1, 2, 8, 32, 64, 256, 1000, 10'000, 100'000})
      EXPECT_LT(feedback(members, rate), 0.01) << members << " members at " << rate;
  }
}

TEST(Policy, SmallGroupsReportQuickly) {
  for (const std::size_t members : {1, 8, 32}) {
    const Policy policy = policy_for(members, 125e6);
    EXPECT_EQ(policy.eager, 65535);
    EXPECT_LT(policy.quick, std::chrono::milliseconds(30));
  }
}

TEST(Policy, OfAnyGroupSomeReportQuickly) {
  for (const std::size_t members : {1000, 10'000, 1'000'000}) {
    const Policy policy = policy_for(members, 125e6);
    EXPECT_GE(static_cast<double>(members) * (policy.eager + 1) / 65536, 15);
    EXPECT_LT(policy.quick, std::chrono::milliseconds(200));
  }
}

TEST(Report, ItsSizeCountsWhatItCarries) {
  const std::size_t empty = wire_size({});
  EXPECT_LT(empty, 200U);
  EXPECT_EQ(wire_size({.settled = {{1, 2}}, .lacks = {{1, 2, 3}, {1, 3, 3}}}), empty + 8 + 12);
}

}  // namespace
}  // namespace stampede::multicast

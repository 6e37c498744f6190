#include "tests/multicast/crowd.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

namespace stampede::multicast {
namespace {

TEST(Crowd, OfTenThousandAllCompleteAndFeedbackIsSmall) {
  const CrowdScenario s;
  const CrowdOutcome out = simulate(s);
  fmt::print(
      "{} members ({} join late, {} die), seed {}: {} complete in {:.1f} s (ideal {:.1f}), sent {:.3f} by multicast, {:.3f} "
      "by unicast, feedback {:.2f} %\n",
      s.members, s.late, s.deaths, s.seed, out.complete, out.seconds, out.ideal, out.sent, out.unicast, out.feedback * 100);
  EXPECT_GE(out.complete, s.members - s.deaths);
  EXPECT_LT(out.feedback, 0.01);
}

}  // namespace
}  // namespace stampede::multicast

// A thousand nodes, half of which are not ideal.
#include <gtest/gtest.h>

#include "tests/swarm/simulation.h"

namespace stampede::swarm {
namespace {

using namespace std::chrono_literals;

TEST(SwarmHeavy, AThousandEqualNodes) {
  Scenario s;
  s.name = "equal links";
  s.nodes.resize(1000);
  const Outcome out = simulate(s);
  report(s, out);
  EXPECT_EQ(out.violation, "");
  EXPECT_EQ(out.complete(), 1000U);
  EXPECT_LT(out.slowest(), 2 * s.ideal());
  EXPECT_LT(out.depot_sent, 4 * s.spans);
}

TEST(SwarmHeavy, AThousandMixedNodes) {
  Scenario s;
  s.name = "slow, dying, bad, late, not serving";
  s.seed = 7;
  s.nodes.resize(1000);
  SeededRandom random(s.seed);
  std::size_t lost = 0;
  for (NodeSpec& node : s.nodes) {
    const auto moment = Duration(static_cast<Duration::rep>(random.below(8'000'000'000)));
    switch (random.below(20)) {
      case 0:
        node.rate = 0.2;
        break;
      case 1:
        node.dies = moment, ++lost;
        break;
      case 2:
        node.freezes = moment, ++lost;
        break;
      case 3:
        node.joins = moment;
        break;
      case 4:
        node.serves = false;
        break;
      case 5:
        node.bad = random.below(5) == 0;
        break;
      default:
        break;
    }
  }
  const Outcome out = simulate(s);
  report(s, out);
  EXPECT_EQ(out.violation, "");
  EXPECT_GE(out.complete() + lost, 1000U);
}

}  // namespace
}  // namespace stampede::swarm

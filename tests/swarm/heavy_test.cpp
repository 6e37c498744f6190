// A thousand nodes, half of which are not ideal.
#include <gtest/gtest.h>

#include "tests/swarm/simulation.h"

namespace stampede::swarm {
namespace {

using namespace std::chrono_literals;

TEST(SwarmHeavy, ManyEqualNodes) {
  struct Case {
    std::size_t nodes;
    double time, depot;
  };
  for (const Case& c : {Case{256, 1.8, 1.5}, Case{1000, 2.5, 2}}) {
    Scenario s;
    s.name = "equal links";
    s.spans = 300;
    s.nodes.resize(c.nodes);
    const Outcome out = simulate(s);
    report(s, out);
    EXPECT_EQ(out.violation, "");
    EXPECT_EQ(out.complete(), c.nodes);
    EXPECT_LT(std::chrono::duration<double>(out.slowest()), c.time * std::chrono::duration<double>(s.ideal()));
    EXPECT_LT(static_cast<double>(out.depot_sent), c.depot * s.spans);
  }
}

TEST(SwarmHeavy, AThousandMixedNodes) {
  Scenario s;
  s.name = "slow, dying, bad, late, not serving";
  s.seed = 7;
  s.spans = 300;
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

// Whole swarms in virtual time. Figures are printed; the bounds are what the design promises.
#include <gtest/gtest.h>

#include "tests/swarm/simulation.h"

namespace stampede::swarm {
namespace {

using namespace std::chrono_literals;

Scenario equal(std::string name, std::size_t nodes, std::uint32_t spans = 500) {
  Scenario s;
  s.name = std::move(name);
  s.spans = spans;
  s.nodes.resize(nodes);
  return s;
}

Outcome run(const Scenario& s) {
  SCOPED_TRACE("scenario '" + s.name + "', seed " + std::to_string(s.seed));
  Outcome out = simulate(s);
  report(s, out);
  EXPECT_EQ(out.violation, "");
  return out;
}
double ratio(Duration a, Duration b) { return static_cast<double>(a.count()) / static_cast<double>(b.count()); }
double copies(const Scenario& s, const Outcome& out) { return static_cast<double>(out.depot_sent) / s.spans; }

TEST(Swarm, OfOneIsAPlainDownload) {
  const Scenario s = equal("alone", 1);
  const Outcome out = run(s);
  EXPECT_EQ(out.complete(), 1U);
  EXPECT_LT(ratio(out.slowest(), s.ideal()), 1.02);
  EXPECT_EQ(out.depot_sent, s.spans);
  EXPECT_EQ(out.duplicates, 0U);
}

TEST(Swarm, OfEqualsTakesLittleLongerThanOne) {
  struct Case {
    std::size_t nodes;
    double time, depot;
  };
  for (const Case& c : {Case{2, 1.35, 1.5}, Case{4, 1.35, 1.5}, Case{8, 1.35, 1.5}, Case{64, 1.6, 2}, Case{256, 2, 4}}) {
    const Scenario s = equal("equal links", c.nodes);
    const Outcome out = run(s);
    EXPECT_EQ(out.complete(), c.nodes);
    EXPECT_LT(ratio(out.slowest(), s.ideal()), c.time) << c.nodes;
    EXPECT_LT(copies(s, out), c.depot) << c.nodes;
  }
}

TEST(Swarm, OneSlowNodeDoesNotSlowTheOthers) {
  const Scenario fast = equal("equal links", 7);
  Scenario s = equal("one at 1/20 of the rate", 8);
  s.nodes[3].rate = 0.05;
  const Outcome without = run(fast);
  Outcome out = run(s);
  EXPECT_EQ(out.complete(), 8U);
  out.took[3].reset();
  EXPECT_LT(ratio(out.slowest(), without.slowest()), 1.1);
  Scenario big = s;
  big.name = "the same, a larger image";
  big.spans = 4000;
  out = run(big);
  out.took[3].reset();
  report(big, out);
}

TEST(Swarm, AtTenGigabit) {
  Scenario s = equal("ten gigabit", 8, 2000);
  s.line = 1.25e9;
  s.credit = 64;
  run(s);
}

}  // namespace
}  // namespace stampede::swarm

// Whole groups in virtual time. Figures are printed; the bounds are what the design promises.
#include "tests/multicast/simulation.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

namespace stampede::multicast {
namespace {

using namespace std::chrono_literals;

Scenario group(std::string name, std::size_t nodes, NodeSpec spec = {}) {
  Scenario s;
  s.name = std::move(name);
  s.nodes.assign(nodes, spec);
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

// The optimum with parity alone, for 8 members and generations of 64: 1, 1.03, 1.10, 1.35, 1.57.
TEST(Multicast, SendsLittleMoreThanTheLossDemands) {
  struct Case {
    double loss, bound;
  };
  for (const Case& c : {Case{0, 1.03}, Case{0.01, 1.06}, Case{0.05, 1.15}, Case{0.2, 1.43}, Case{0.3, 1.67}}) {
    const Outcome out = run(group(fmt::format("eight lose {} %", c.loss * 100), 8, {.loss = c.loss}));
    EXPECT_EQ(out.complete(), 8U);
    EXPECT_LE(out.sent(), c.bound);
  }
}

TEST(Multicast, BurstsCostLittleMore) {
  for (const std::uint32_t burst : {20U, 200U}) {
    const Outcome out =
        run(group(fmt::format("bursts of {} in {}", burst, burst * 20), 8, {.burst = burst, .burst_every = burst * 20}));
    EXPECT_EQ(out.complete(), 8U);
    EXPECT_LE(out.sent(), 1.12);
  }
}

TEST(Multicast, TakesNoLongerForMany) {
  const Outcome one = run(group("one", 1));
  const Outcome many = run(group("thirty-two", 32));
  EXPECT_LT(ratio(many.slowest(), one.slowest()), 1.05);
  EXPECT_EQ(many.complete(), 32U);
}

class OddOne : public testing::Test {
 protected:
  // The others' time with seven of them, and with an odd eighth.
  Outcome compare(const std::string& name, const NodeSpec& odd) {
    Scenario seven = group("seven", 7, {.loss = 0.001});
    seven.spans = kSpans;
    Scenario eight = group(name, 8, {.loss = 0.001});
    eight.spans = kSpans;
    eight.nodes[3] = odd;
    const Outcome without = run(seven);
    Outcome with = run(eight);
    EXPECT_LE(ratio(with.slowest(3), without.slowest()), 1.03);
    EXPECT_GE(with.complete(), 7U);
    return with;
  }
  // So long that one round of repair at the end, or none, is less than what is compared.
  static constexpr std::uint32_t kSpans = 1200;
  Duration ideal_ = Scenario{}.ideal() * kSpans / Scenario{}.spans;
};

TEST_F(OddOne, AtAHundredthOfTheRate) { EXPECT_TRUE(compare("one loses 99 %", {.loss = 0.99}).took[3]); }
TEST_F(OddOne, Frozen) {
  EXPECT_TRUE(compare("one freezes and thaws after 5 s", {.freezes = ideal_ / 2, .thaws = ideal_ / 2 + 5s}).took[3]);
}
TEST_F(OddOne, FrozenForEver) { compare("one freezes", {.freezes = ideal_ / 2}); }
TEST_F(OddOne, Killed) { compare("one dies", {.dies = ideal_ / 2}); }
TEST_F(OddOne, JoinsLate) { EXPECT_TRUE(compare("one joins at 80 %", {.loss = 0.001, .joins = ideal_ * 8 / 10}).took[3]); }

}  // namespace
}  // namespace stampede::multicast

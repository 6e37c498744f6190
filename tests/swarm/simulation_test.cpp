// Whole swarms in virtual time. Figures are printed; the bounds are what the design promises.
#include <gtest/gtest.h>

#include <fmt/format.h>

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
  for (const Case& c : {Case{2, 1.35, 1.5}, Case{4, 1.35, 1.5}, Case{8, 1.35, 1.5}, Case{64, 1.5, 1.5}}) {
    const Scenario s = equal("equal links", c.nodes);
    const Outcome out = run(s);
    EXPECT_EQ(out.complete(), c.nodes);
    EXPECT_LT(ratio(out.slowest(), s.ideal()), c.time) << c.nodes;
    EXPECT_LT(copies(s, out), c.depot) << c.nodes;
  }
}

// The slowest of the nodes but `except`.
Duration slowest_other(Outcome out, std::size_t except) {
  out.took[except].reset();
  return out.slowest();
}

TEST(Swarm, AtTenGigabit) {
  Scenario s = equal("ten gigabit", 8, 2000);
  s.line = 1.25e9;
  s.credit = 64;
  const Outcome out = run(s);
  EXPECT_EQ(out.complete(), 8U);
  EXPECT_LT(ratio(out.slowest(), s.ideal()), 1.35);
  EXPECT_LT(copies(s, out), 1.5);
}

TEST(Swarm, WithLittleCredit) {
  Scenario s = equal("credit of four spans", 8, 300);
  s.credit = 4;
  const Outcome out = run(s);
  EXPECT_EQ(out.complete(), 8U);
  EXPECT_LT(ratio(out.slowest(), s.ideal()), 1.5);
}

TEST(Swarm, OneSlowNodeDoesNotSlowTheOthers) {
  const Outcome without = run(equal("seven of them", 7));
  Scenario s = equal("and one at 1/20 of the rate", 8);
  s.nodes[3].rate = 0.05;
  const Outcome out = run(s);
  EXPECT_EQ(out.complete(), 8U);
  EXPECT_LT(ratio(slowest_other(out, 3), without.slowest()), 1.1);
  EXPECT_LT(copies(s, out), 1.5);
  fmt::print("{:>36} the others {:.3f} s\n", "", std::chrono::duration<double>(slowest_other(out, 3)).count());
}

TEST(Swarm, AFrozenNodeIsGoneRound) {
  Scenario s = equal("one freezes half-way", 8);
  s.nodes[2].freezes = s.ideal() / 2;
  s.limit = 60s;
  const Outcome out = run(s);
  EXPECT_EQ(out.complete(), 7U);
  EXPECT_LT(out.slowest(), s.ideal() + 6s);  // a request's time-out, and the grace
  s.name = "it thaws after 5 s";
  s.nodes[2].thaws = s.ideal() / 2 + 5s;
  EXPECT_EQ(run(s).complete(), 8U);
}

TEST(Swarm, NodesDie) {
  Scenario s = equal("half of them die", 16);
  for (std::size_t i = 0; i < 8; ++i) s.nodes[2 * i].dies = s.ideal() * (i + 1) / 10;
  const Outcome out = run(s);
  EXPECT_EQ(out.complete(), 8U);
  EXPECT_LT(ratio(out.slowest(), s.ideal()), 1.6);
  EXPECT_LT(copies(s, out), 1.5);
}

TEST(Swarm, ABadPeerIsDropped) {
  Scenario s = equal("one serves bad spans", 8);
  s.nodes[5].bad = true;
  Outcome out = run(s);
  EXPECT_EQ(out.complete(), 8U);
  EXPECT_LT(ratio(slowest_other(out, 5), s.ideal()), 1.35);
  s.name = "all but one serve bad spans";
  for (std::size_t i = 1; i < 8; ++i) s.nodes[i].bad = true;
  s.limit = 10min;
  EXPECT_EQ(run(s).complete(), 8U);
}

TEST(Swarm, TheDepotDiesAndReturns) {
  Scenario s = equal("no depot from 30 % to 10 s", 8);
  s.depot_dies = s.ideal() * 3 / 10;
  s.depot_returns = 10s;
  const Outcome out = run(s);
  EXPECT_EQ(out.complete(), 8U);
  EXPECT_LT(out.slowest(), 10s + s.ideal());
  EXPECT_LT(copies(s, out), 1.5);
}

TEST(Swarm, TheDepotDiesForEver) {
  Scenario s = equal("no depot once all is out", 8);
  s.depot_dies_when_all_is_out = true;
  const Outcome all = run(s);
  EXPECT_EQ(all.complete(), 8U);
  EXPECT_LT(ratio(all.slowest(), s.ideal()), 1.35);

  s = equal("no depot from 30 % on", 8);
  s.depot_dies = s.ideal() * 3 / 10;
  s.limit = 60s;
  const Outcome some = run(s);
  EXPECT_EQ(some.complete(), 0U);
  // What any of them had, all of them have; the rest is waited for.
  for (const std::uint32_t held : some.held) EXPECT_EQ(held, some.held[0]);
  EXPECT_GT(some.held[0], s.spans / 5);
}

TEST(Swarm, ALateNodeCatchesUp) {
  Scenario s = equal("one joins at 80 %", 8);
  s.nodes[7].joins = s.ideal() * 8 / 10;
  const Outcome out = run(s);
  EXPECT_EQ(out.complete(), 8U);
  EXPECT_LT(ratio(out.slowest(), s.ideal()), 1.35);
  EXPECT_LT(copies(s, out), 1.5);
}

// The only one that holds anything is slow; the depot is idle and does not let the others wait for it.
TEST(Swarm, ASlowSeed) {
  for (const std::size_t nodes : {2, 8}) {
    Scenario s = equal("one at 1/10 has it all, others join", nodes, 300);
    s.nodes[0].rate = 0.1;
    for (std::size_t i = 1; i < nodes; ++i) s.nodes[i].joins = 26s;
    const Outcome out = run(s);
    EXPECT_EQ(out.complete(), nodes);
    EXPECT_LT(ratio(slowest_other(out, 0), s.ideal()), nodes == 2 ? 1.3 : 2.5) << nodes;
    fmt::print("{:>36} the others {:.3f} s\n", "", std::chrono::duration<double>(slowest_other(out, 0)).count());
  }
}

TEST(Swarm, NodesThatDoNotServe) {
  Scenario s = equal("two of eight do not serve", 8);
  s.nodes[0].serves = s.nodes[1].serves = false;
  Outcome out = run(s);
  EXPECT_EQ(out.complete(), 8U);
  EXPECT_LT(ratio(out.slowest(), s.ideal()), 1.6);
  EXPECT_LT(copies(s, out), 2);
  s = equal("none serves", 4);
  for (NodeSpec& node : s.nodes) node.serves = false;
  out = run(s);
  EXPECT_EQ(out.complete(), 4U);
  EXPECT_LT(ratio(out.slowest(), s.ideal()), 4.1);  // the depot alone, its link shared by four
}

// Small swarms in which anything happens. What is left alive completes, and nothing is ever asked against the contract.
TEST(Swarm, SurvivesChurn) {
  std::uint64_t duplicates = 0;
  std::uint64_t sent = 0;
  std::uint64_t spans = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SeededRandom random(seed);
    Scenario s = equal("churn", 2 + random.below(9), 1 + static_cast<std::uint32_t>(random.below(120)));
    s.seed = seed;
    s.credit = 1 + static_cast<std::uint32_t>(random.below(24));
    s.fan_out = 1 + static_cast<std::uint32_t>(random.below(6));
    const auto moment = [&] { return Duration(static_cast<Duration::rep>(random.below(2'000'000'000))); };
    std::size_t lost = 0;
    for (std::size_t i = 0; i < s.nodes.size(); ++i) {
      NodeSpec& node = s.nodes[i];
      node.joins = random.below(2) == 0 ? Duration{} : moment();
      if (random.below(8) == 0) node.rate = 0.05;
      if (random.below(6) == 0) node.serves = false;
      if (random.below(8) == 0) node.bad = true;
      const auto fate = i == 0 ? 9 : random.below(8);  // the first one stays
      if (fate == 0) node.dies = node.joins + moment();
      if (fate == 1) node.freezes = node.joins + moment();
      if (fate == 2) node.freezes = node.joins + moment(), node.thaws = *node.freezes + 4s;
      lost += fate <= 1 ? 1 : 0;
    }
    if (random.below(3) == 0) {
      s.depot_dies = moment();
      s.depot_returns = *s.depot_dies + 2 * moment();
    }
    const Outcome out = simulate(s);
    ASSERT_EQ(out.violation, "");
    ASSERT_GE(out.complete() + lost, s.nodes.size());
    duplicates += out.duplicates;
    sent += out.depot_sent;
    spans += s.spans;
  }
  fmt::print("churn, 200 seeds: depot {:.2f} x, {} duplicates in {} spans\n",
             static_cast<double>(sent) / static_cast<double>(spans), duplicates, spans);
}

}  // namespace
}  // namespace stampede::swarm

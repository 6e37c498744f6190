#include "transport/multicast/rate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace stampede::multicast {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

// Members with a rate that each can take: what is above is lost. Returns the mean rate over the last half of the time.
class RateTest : public testing::Test {
 protected:
  double run(Rate& rate, const std::vector<double>& sustains, Duration time) {
    for (std::uint32_t i = 0; i < sustains.size(); ++i) rate.joined(i);
    double sum = 0;
    int count = 0;
    for (const Instant end = now_ + time; now_ < end; now_ += 50ms) {
      const double sent = rate.at(now_);
      if (end - now_ < time / 2) sum += sent, ++count;
      for (std::uint32_t i = 0; i < sustains.size(); ++i) rate.report(i, std::max(0.0, 1 - sustains[i] / sent), 0, now_);
    }
    return sum / count;
  }
  // A machine that takes `takes(time)` bytes a second and reports what waits, in spans of 400 KB, each 50 ms. What its 96
  // spans of memory cannot hold is lost. Returns the share of what it could take that it was sent.
  struct Busy {
    double share = 0;
    double lost = 0;
  };
  Busy run_busy(Rate& rate, const std::function<double(Duration)>& takes, Duration time) {
    constexpr double kSpan = 400e3;
    for (std::uint32_t i = 0; i < 4; ++i) rate.joined(i);
    double waits = 0, sent = 0, could = 0, lost = 0;
    const Instant begin = now_;
    for (Duration told{}; now_ < begin + time; now_ += 10ms) {
      const double comes = rate.at(now_) / 100;
      const double goes = takes(now_ - begin) / 100;
      sent += comes, could += goes;
      waits = std::max(0.0, waits + comes - goes);
      if (const double full = 96 * kSpan; waits > full) lost += waits - full, waits = full;
      if (now_ - begin - told < 50ms) continue;
      told = now_ - begin;
      const auto backlog = static_cast<std::uint32_t>(waits / kSpan);
      for (std::uint32_t i = 0; i < 4; ++i) rate.report(i, 0, backlog, now_);
    }
    return {(sent - lost) / could, lost / sent};
  }
  Instant now_{1h};
  RateConfig config_{};
};

TEST_F(RateTest, StartsFastAndReachesTheCap) {
  Rate rate(config_);
  EXPECT_GE(rate.at(now_), 0.5 * config_.cap);
  run(rate, std::vector<double>(8, 1e9), 3s);
  EXPECT_EQ(rate.at(now_), config_.cap);
}

// Not at once, for nobody knows yet whether machines take that: 16 Gbit/s are reached within a second.
TEST_F(RateTest, AGreatCapIsReachedFromAGbitOn) {
  config_.cap = 2e9;
  Rate rate(config_);
  EXPECT_LE(rate.at(now_), 125e6);
  run(rate, std::vector<double>(8, 1e10), 1s);
  EXPECT_EQ(rate.at(now_), config_.cap);
  Rate above(config_);
  EXPECT_LT(run(above, std::vector<double>(8, 300e6), 30s), 1.1 * 300e6);
}

TEST_F(RateTest, FindsWhatTheMembersSustain) {
  for (const double sustained : {20e6, 50e6, 100e6}) {
    Rate rate(config_);
    const double mean = run(rate, std::vector<double>(8, sustained), 30s);
    EXPECT_GT(mean, 0.8 * sustained);
    EXPECT_LT(mean, 1.1 * sustained);
  }
}

TEST_F(RateTest, TheSlowestCostsTheOthersNothingAndIsNamedOnce) {
  Rate rate(config_);
  std::vector<double> sustains(8, 1e9);
  sustains[5] = 1.25e6;
  EXPECT_EQ(run(rate, sustains, 10s), config_.cap);
  EXPECT_THAT(rate.take_leavers(), ElementsAre(5));
  EXPECT_THAT(rate.take_leavers(), IsEmpty());
}

TEST_F(RateTest, EqualsAreNotSentAway) {
  Rate rate(config_);
  run(rate, std::vector<double>(8, 30e6), 30s);
  EXPECT_THAT(rate.take_leavers(), IsEmpty());
}

// Disks that are busy for a while: the stream neither stops for long nor overruns them.
TEST_F(RateTest, ItFollowsWhatDisksTake) {
  const auto steady = [](double rate) { return [rate](Duration) { return rate; }; };
  const auto wave = [](Duration t) { return t % 2s < 500ms ? 15e6 : 90e6; };
  const auto once = [](Duration t) { return t > 500ms && t < 900ms ? 5e6 : 100e6; };
  config_.backlog = 24;
  for (const auto& [takes, time] : std::vector<std::pair<std::function<double(Duration)>, Duration>>{
           {steady(20e6), 20s}, {steady(60e6), 20s}, {wave, 20s}, {once, 5s}}) {
    Rate rate(config_);
    const Busy busy = run_busy(rate, takes, time);
    EXPECT_GT(busy.share, 0.85);
    EXPECT_LT(busy.lost, 0.01);
  }
}

TEST_F(RateTest, LossThatIsTheLinksCostsNoSpeed) {
  for (const double loss : {0.05, 0.2, 0.3}) {
    Rate rate(config_);
    for (std::uint32_t i = 0; i < 8; ++i) rate.joined(i);
    double sum = 0;
    for (int step = 0; step < 200; ++step, now_ += 50ms) {
      if (step >= 100) sum += rate.at(now_);
      for (std::uint32_t i = 0; i < 8; ++i) rate.report(i, loss + 0.01 * (step + i) / 200, 0, now_);
      rate.at(now_);
    }
    EXPECT_GT(sum / 100, 0.9 * config_.cap) << loss;
  }
}

TEST_F(RateTest, LossThatComesOnTopOfTheLinksIsHeeded) {
  Rate rate(config_);
  for (std::uint32_t i = 0; i < 8; ++i) rate.joined(i);
  double sent = 0;
  for (int step = 0; step < 600; ++step, now_ += 50ms) {
    sent = rate.at(now_);
    const double passes = step < 200 ? 1 : std::min(1.0, 30e6 / sent);
    for (std::uint32_t i = 0; i < 8; ++i) rate.report(i, 1 - 0.95 * passes, 0, now_);
  }
  EXPECT_LT(sent, 45e6);
  EXPECT_GT(sent, 20e6);
}

// Others on the line made it lose whatever we did; then they are gone, and we are what it loses by.
TEST_F(RateTest, WhatWasTheLinksLossIsDoubtedLater) {
  Rate rate(config_);
  for (std::uint32_t i = 0; i < 8; ++i) rate.joined(i);
  double sum = 0;
  for (int step = 0; step < 600; ++step, now_ += 50ms) {
    const double sent = rate.at(now_);
    if (step >= 300) sum += sent;
    const double lost = step < 40 ? 0.3 : std::max(0.0, 1 - 85e6 / sent);
    for (std::uint32_t i = 0; i < 8; ++i) rate.report(i, lost, 0, now_);
  }
  EXPECT_LT(sum / 300, 1.05 * 85e6);
  EXPECT_GT(sum / 300, 0.8 * 85e6);
}

TEST_F(RateTest, AFullDiskCountsAsLoss) {
  Rate rate(config_);
  for (std::uint32_t i = 0; i < 4; ++i) rate.joined(i);
  for (int step = 0; step < 100; ++step, now_ += 100ms) {
    for (std::uint32_t i = 0; i < 4; ++i) rate.report(i, 0, 2 * config_.backlog, now_);
    rate.at(now_);
  }
  EXPECT_LT(rate.at(now_), 0.2 * config_.cap);
}

TEST_F(RateTest, StaysAboveTheFloor) {
  config_.floor = 5e6;
  Rate rate(config_);
  EXPECT_EQ(run(rate, std::vector<double>(4, 1e3), 60s), config_.floor);
}

TEST_F(RateTest, TheSilentDoNotCount) {
  Rate rate(config_);
  run(rate, std::vector<double>(8, 20e6), 5s);
  now_ += 4s;
  const double before = rate.at(now_);
  for (int step = 0; step < 50; ++step, now_ += 100ms) {
    rate.report(3, 0, 0, now_);
    rate.at(now_);
  }
  EXPECT_GT(rate.at(now_), before);
}

TEST_F(RateTest, AFixedRateIgnoresReports) {
  config_.fixed = 42e6;
  Rate rate(config_);
  EXPECT_EQ(run(rate, std::vector<double>(8, 1e6), 5s), 42e6);
}

TEST(Pacer, KeepsTheRateInBatchesWithoutBursts) {
  Pacer pacer(1500);
  Instant now{1h};
  std::size_t sent = 0;
  const Instant start = now;
  while (now - start < 1s) {
    if (const std::size_t room = pacer.room(now, 10e6)) {
      EXPECT_LE(room * 1500, Pacer::kBatchBytes);
      EXPECT_LE(room, Pacer::kBatchPackets);
      pacer.sent(room);
      sent += room * 1500;
    }
    now = std::max(now + 100us, pacer.next());  // a timer that is late
  }
  EXPECT_NEAR(static_cast<double>(sent), 10e6, 0.02 * 10e6);
}

TEST(Pacer, MakesUpForAPauseByNoMoreThanASwitchBuffer) {
  Pacer pacer(1500);
  Instant now{1h};
  pacer.sent(pacer.room(now, 10e6));
  now += 10s;
  std::size_t at_once = 0;
  while (const std::size_t room = pacer.room(now, 10e6)) {
    pacer.sent(room);
    at_once += room * 1500;
  }
  EXPECT_LE(at_once, std::size_t{256} << 10);
  EXPECT_GE(at_once, std::size_t{128} << 10);
}

}  // namespace
}  // namespace stampede::multicast

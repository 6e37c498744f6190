#include "transport/multicast/carousel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/multicast/stream.h"

namespace stampede::multicast {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::size_t kSymbol = 512;
constexpr std::uint32_t kSpans = 40;

using Generation = std::pair<std::uint32_t, std::uint32_t>;  // span, number

// A symbol, its bytes kept.
struct Sent {
  std::uint64_t sequence;
  Header header;
  Bytes bytes;
  Generation generation() const { return {header.span, header.generation}; }
};

class CarouselTest : public testing::Test {
 protected:
  static Bytes frame(std::uint32_t span) { return sample_frame(span, 100'000); }
  void join(MemberId member) { carousel_.joined(member, Bitmap(kSpans), now_); }
  // Until nothing is to be sent for 50 ms. Frames are provided at once.
  std::vector<Sent> run(std::size_t limit = 1'000'000) {
    std::vector<Sent> out;
    for (int quiet = 0; quiet < 50 && out.size() < limit;) {
      const Turn turn = carousel_.poll(now_, std::min<std::size_t>(16, limit - out.size()));
      for (const Symbol& s : turn.symbols) out.push_back({s.sequence, s.header, copy(s.bytes)});
      fetched_.insert(turn.fetch.begin(), turn.fetch.end());
      for (const std::uint32_t span : turn.fetch) carousel_.provide(span, std::make_shared<const Bytes>(frame(span)));
      quiet = turn.symbols.empty() && turn.fetch.empty() ? quiet + 1 : 0;
      now_ += turn.symbols.empty() ? 1ms : 100us;
    }
    if (!out.empty()) last_ = out.back().sequence;
    return out;
  }
  Answer report(MemberId member, std::vector<Lack> lacks, std::vector<SpanRun> settled = {}, double loss = 0) {
    return carousel_.report(
        member, {last_, static_cast<std::uint16_t>(loss * 65536), 0, std::move(settled), std::move(lacks)}, now_);
  }
  static std::set<std::uint32_t> spans(const std::vector<Sent>& symbols) {
    std::set<std::uint32_t> out;
    for (const Sent& s : symbols) out.insert(s.header.span);
    return out;
  }

  Instant now_{1h};
  std::uint64_t last_ = 0;
  std::multiset<std::uint32_t> fetched_;
  Carousel carousel_{{kSpans, kSymbol}};
};

TEST_F(CarouselTest, IsIdleWithoutMembers) {
  EXPECT_TRUE(carousel_.idle());
  const Turn turn = carousel_.poll(now_, 16);
  EXPECT_TRUE(turn.symbols.empty() && turn.fetch.empty() && !turn.next);
}

TEST_F(CarouselTest, SendsEverySymbolOfEverySpanOnce) {
  join(1);
  std::map<std::uint32_t, std::map<std::size_t, Bytes>> got;
  std::uint64_t sequence = 0;
  for (const Sent& s : run()) {
    EXPECT_EQ(s.sequence, ++sequence);
    ASSERT_FALSE(s.header.is_parity());
    const Layout layout(s.header.frame_size, kSymbol);
    EXPECT_TRUE(got[s.header.span].emplace(layout.offset(s.header.generation, s.header.index), s.bytes).second);
  }
  ASSERT_EQ(got.size(), kSpans);
  for (const auto& [span, symbols] : got) {
    Bytes whole;
    for (const auto& [offset, bytes] : symbols) whole.insert(whole.end(), bytes.begin(), bytes.end());
    EXPECT_TRUE(whole == frame(span)) << span;
  }
  EXPECT_EQ(fetched_.size(), kSpans);
}

TEST_F(CarouselTest, ABurstHitsEachGenerationAFewTimes) {
  join(1);
  const std::vector<Sent> sent = run();
  for (std::size_t at = 0; at + 200 < sent.size(); at += 100) {
    std::map<Generation, int> hits;
    for (std::size_t i = at; i < at + 200; ++i) ++hits[sent[i].generation()];
    for (const auto& [generation, count] : hits) ASSERT_LE(count, 200 / 32 + 1) << "at " << at;
  }
}

TEST_F(CarouselTest, SendsOnlyWhatSomebodyLacks) {
  Bitmap one(kSpans), two(kSpans);
  for (std::uint32_t i = 0; i < kSpans; ++i) {
    if (i != 3 && i != 5) one.set(i);
    if (i != 5 && i != 9) two.set(i);
  }
  for (const MemberId id : {1, 3}) carousel_.joined(id, one, now_);
  for (const MemberId id : {2, 4}) carousel_.joined(id, two, now_);
  EXPECT_THAT(spans(run()), ElementsAre(3, 5, 9));
  for (const MemberId id : {1, 3}) report(id, {}, {{3, 1}, {5, 1}});
  for (const MemberId id : {2, 4}) carousel_.has(id, 5, now_);
  EXPECT_FALSE(carousel_.idle());
  for (const MemberId id : {2, 4}) report(id, {}, {{9, 1}});
  EXPECT_TRUE(carousel_.idle());
  EXPECT_THAT(run(), IsEmpty());
}

TEST_F(CarouselTest, RepairsWhatTheWorstLacksWithFreshParity) {
  join(1);
  join(2);
  run();
  report(1, {{7, 1, 3}, {8, 0, 1}});
  report(2, {{7, 1, 5}});
  std::set<std::uint8_t> indices;
  std::map<Generation, int> count;
  const auto repair = [&] {
    for (const Sent& s : run(200)) {
      if (!s.header.is_parity()) continue;
      ++count[s.generation()];
      if (s.header.span == 7) EXPECT_TRUE(indices.insert(s.header.index).second);
    }
  };
  repair();
  // One more than needed, since nothing else is to be sent.
  EXPECT_EQ(count[Generation(7, 1)], 6);
  EXPECT_EQ(count[Generation(8, 0)], 2);
  count.clear();
  report(1, {{7, 1, 2}});
  repair();
  EXPECT_EQ(count[Generation(7, 1)], 3);
}

TEST_F(CarouselTest, ParityIsWhatTheCodeSays) {
  join(1);
  run();
  report(1, {{7, 1, 3}});
  const std::vector<Sent> sent = run(3);
  ASSERT_EQ(sent.size(), 3U);
  for (const Sent& s : sent) {
    const SampleSymbol expected = SampleSpan(7, frame(7), kSymbol).symbol(1, s.header.index);
    EXPECT_TRUE(s.header == expected.header);
    EXPECT_TRUE(s.bytes == expected.bytes);
  }
}

TEST_F(CarouselTest, WhatIsOnItsWayIsNotSentAgain) {
  join(1);
  run();
  const std::uint64_t before = last_;
  report(1, {{7, 1, 3}});
  for (int i = 0; i < 3; ++i) carousel_.poll(now_, 16);
  const auto repaired = carousel_.figures().repair;
  EXPECT_EQ(repaired, 4U);
  // Reports of the state before the repair, within its flight.
  for (int i = 0; i < 10; ++i) carousel_.report(1, {before, 0, 0, {}, {{7, 1, 3}}}, now_);
  carousel_.poll(now_, 16);
  EXPECT_EQ(carousel_.figures().repair, repaired);
  now_ += 100ms;
  carousel_.poll(now_, 16);
  carousel_.report(1, {before, 0, 0, {}, {{7, 1, 3}}}, now_);
  carousel_.poll(now_, 16);
  EXPECT_EQ(carousel_.figures().repair, 2 * repaired);
}

TEST_F(CarouselTest, ProactiveParityFollowsTheLoss) {
  for (MemberId i = 0; i < 8; ++i) join(i);
  for (MemberId i = 0; i < 8; ++i) report(i, {}, {}, 0.05);
  run(10'000);
  const auto figures = carousel_.figures();
  EXPECT_GT(figures.parity, figures.data / 25);
  EXPECT_LT(figures.parity, figures.data / 8);
}

TEST_F(CarouselTest, TheSilentAreNotWaitedFor) {
  join(1);
  join(2);
  run();
  report(1, {}, {{0, kSpans}});
  EXPECT_FALSE(carousel_.idle());
  now_ += carousel_.policy().silence();
  report(1, {});
  carousel_.poll(now_, 16);
  EXPECT_TRUE(carousel_.idle());
  // It was only asleep.
  report(2, {});
  EXPECT_FALSE(carousel_.idle());
}

TEST_F(CarouselTest, WhatOnlyAFewLackIsLeftToTheOthersToGive) {
  for (MemberId id = 1; id <= 8; ++id) join(id);
  run();
  for (MemberId id = 1; id <= 6; ++id) report(id, {}, {{0, kSpans}});
  for (const MemberId id : {7, 8}) report(id, {}, {{2, kSpans - 2}});
  now_ += 10s;  // nobody repaired it
  for (MemberId id = 1; id <= 8; ++id) carousel_.has(id, kSpans - 1, now_);
  EXPECT_THAT(run(), IsEmpty());
  EXPECT_TRUE(carousel_.idle());
  EXPECT_THAT(report(7, {}).given_up, testing::UnorderedElementsAre(0, 1));
  EXPECT_THAT(report(7, {}).given_up, IsEmpty());
  // More than a quarter is worth a pass.
  Bitmap most(kSpans);
  for (std::uint32_t i = 2; i < kSpans; ++i) most.set(i);
  for (const MemberId id : {9, 10, 11, 12}) carousel_.joined(id, most, now_);
  EXPECT_THAT(spans(run()), ElementsAre(0, 1));
}

TEST_F(CarouselTest, WhatOneIsToGetElsewhereIsNotSentForItAndItIsTold) {
  carousel_.joined(1, Bitmap(kSpans), now_, {3, 4, kSpans});
  const auto sent = spans(run());
  EXPECT_EQ(sent.size(), kSpans - 2);
  EXPECT_THAT(sent, testing::Not(Contains(3)));
  EXPECT_THAT(report(1, {}).given_up, testing::UnorderedElementsAre(3, 4));
}

TEST_F(CarouselTest, OneThatTrailsIsLeftToUnicast) {
  for (MemberId i = 0; i < 8; ++i) join(i);
  run();
  for (MemberId i = 0; i < 7; ++i) report(i, {}, {}, 0.01);
  EXPECT_THAT(report(7, {{3, 0, 40}}, {}, 0.6).given_up, ElementsAre(3));
  EXPECT_EQ(carousel_.figures().trailing, 1U);
  EXPECT_THAT(report(0, {{3, 0, 2}}, {}, 0.01).given_up, IsEmpty());
  for (MemberId i = 0; i < 7; ++i) report(i, {}, {{0, kSpans}}, 0.01);
  EXPECT_TRUE(carousel_.idle());
}

TEST_F(CarouselTest, OneThatAsksForMuchMoreThanOthersTrailsToo) {
  for (MemberId i = 0; i < 8; ++i) join(i);
  run();
  for (MemberId i = 0; i < 8; ++i) report(i, {}, {{0, kSpans - 1}});
  for (int round = 0; round < 1000; ++round, now_ += 40ms) {
    for (MemberId i = 0; i < 7; ++i) report(i, {});
    for (std::uint8_t g = 0; g < 4; ++g) report(7, {{kSpans - 1, g, 64}});
    if (const Turn turn = carousel_.poll(now_, 1000); !turn.symbols.empty()) last_ = turn.symbols.back().sequence;
  }
  const auto figures = carousel_.figures();
  EXPECT_LT(figures.repair, 5000 + (figures.data + figures.repair) / 10);
}

TEST_F(CarouselTest, OneThatHearsNothingIsNotSentToForEver) {
  join(1);
  for (int round = 0; round < 3000; ++round, now_ += 10ms) {
    carousel_.report(1, {}, now_);
    for (const std::uint32_t span : carousel_.poll(now_, 100).fetch)
      carousel_.provide(span, std::make_shared<const Bytes>(frame(span)));
  }
  EXPECT_LT(carousel_.figures().data, 100'000U);
  EXPECT_TRUE(carousel_.idle());
  // It hears the stream after all.
  carousel_.report(1, {carousel_.figures().data, 0, 0, {}, {}}, now_);
  carousel_.poll(now_ + 200ms, 1);
  EXPECT_FALSE(carousel_.idle());
}

TEST_F(CarouselTest, ALateJoinerGetsTheRestAndThenTheStart) {
  join(1);
  run(5000);
  join(2);
  const std::vector<Sent> rest = run();
  report(1, {}, {{0, kSpans}});
  std::set<std::uint32_t> got = spans(rest);
  EXPECT_EQ(got.size(), kSpans);
  // What was to come anyway comes first.
  EXPECT_GT(rest.front().header.span, 10U);
  EXPECT_GE(carousel_.figures().passes, 1U);
}

TEST_F(CarouselTest, WhatOneLacksThatJoinsAmidAWindowIsSentAgainLaterAndNotRepaired) {
  join(1);
  const std::uint32_t amid = run(4000).back().header.span;
  join(2);
  run(1);
  EXPECT_THAT(report(2, {{amid, 0, 40}, {amid, 1, 40}}).given_up, IsEmpty());
  run();
  now_ += 800ms;  // whoever got it has said so by now
  report(2, {});
  const std::vector<Sent> rest = run();
  EXPECT_EQ(carousel_.figures().repair, 0U);
  EXPECT_TRUE(std::ranges::any_of(rest, [&](const Sent& s) { return s.header.span == amid && s.header.index == 0; }));
}

TEST_F(CarouselTest, WhatTheStoreCannotReadIsLeftOutAndNamed) {
  join(1);
  const Turn turn = carousel_.poll(now_, 16);
  ASSERT_THAT(turn.fetch, Contains(0U));
  carousel_.unavailable(0);
  for (const std::uint32_t span : turn.fetch) carousel_.provide(span, std::make_shared<const Bytes>(frame(span)));
  EXPECT_EQ(spans(run()).size(), kSpans - 1);
  EXPECT_THAT(report(1, {}).given_up, ElementsAre(0));
  EXPECT_THAT(report(1, {}).given_up, IsEmpty());
  report(1, {}, {{1, kSpans - 1}});
  EXPECT_TRUE(carousel_.idle());
}

TEST_F(CarouselTest, RepairOfALongGoneSpanAsksForItsFrameAgain) {
  constexpr std::uint32_t kMany = 60;
  Carousel carousel({kMany, 1424});
  carousel.joined(1, Bitmap(kMany), now_);
  const auto big = [](std::uint32_t span) { return std::make_shared<const Bytes>(sample_frame(span, 1 << 20)); };
  std::uint64_t sequence = 0;
  const auto pump = [&] {
    std::vector<std::uint32_t> fetched;
    for (int quiet = 0; quiet < 30; now_ += 1ms) {
      const Turn turn = carousel.poll(now_, 1000);
      if (!turn.symbols.empty()) sequence = turn.symbols.back().sequence;
      for (const std::uint32_t span : turn.fetch) carousel.provide(span, big(span)), fetched.push_back(span);
      quiet = turn.symbols.empty() ? quiet + 1 : 0;
    }
    return fetched;
  };
  EXPECT_EQ(pump().size(), kMany);
  carousel.report(1, {sequence, 0, 0, {}, {{0, 3, 2}, {0, 4, 1}}}, now_);
  EXPECT_THAT(pump(), ElementsAre(0));
  EXPECT_EQ(carousel.figures().repair, 5U);
}

TEST_F(CarouselTest, NonsenseIsIgnored) {
  join(1);
  carousel_.has(1, kSpans, now_);
  carousel_.has(77, 0, now_);
  carousel_.left(77);
  carousel_.provide(kSpans + 5, nullptr);
  carousel_.unavailable(kSpans + 5);
  report(77, {{0, 0, 1}});
  report(1, {{kSpans, 0, 1}, {0, 255, 64}, {0, 0, 65}, {0, 0, 0}}, {{kSpans - 1, 5}, {~0U, ~0U}});
  EXPECT_EQ(spans(run()).size(), kSpans - 1);
}

}  // namespace
}  // namespace stampede::multicast

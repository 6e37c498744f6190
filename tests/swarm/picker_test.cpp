#include "transport/swarm/picker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

namespace stampede::swarm {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr Ask any(std::uint32_t count) { return {Ask::Kind::any, kDepot, 0, count}; }
constexpr Ask by_name(PeerId peer, std::uint32_t span) { return {Ask::Kind::span, peer, span, 0}; }

Bitmap with(std::uint32_t size, std::initializer_list<std::uint32_t> spans) {
  Bitmap out(size);
  for (const std::uint32_t i : spans) out.set(i);
  return out;
}
Bitmap all(std::uint32_t size) {
  Bitmap out(size);
  for (std::uint32_t i = 0; i < size; ++i) out.set(i);
  return out;
}

class PickerTest : public ::testing::Test {
 protected:
  Picker make(std::uint32_t spans, std::uint32_t credit = 32) {
    Picker picker({spans, 8, 4}, Bitmap(spans), random_);
    picker.set_credit(credit);
    return picker;
  }
  static void arrives(Picker& picker, PeerId peer, std::uint32_t span, Instant at) {
    ASSERT_TRUE(picker.received(peer, span, at)) << span;
    picker.had(span, at);
  }
  SeededRandom random_{1};
  const Instant t0_{};
};

TEST_F(PickerTest, AloneItFillsTheDepotsWindow) {
  Picker picker = make(20);
  EXPECT_THAT(picker.poll(t0_), IsEmpty());
  picker.peer_joined(kDepot, {}, t0_);
  EXPECT_THAT(picker.poll(t0_), ElementsAre(any(8)));
  EXPECT_THAT(picker.poll(t0_), IsEmpty());
  arrives(picker, kDepot, 0, t0_);
  EXPECT_THAT(picker.poll(t0_), ElementsAre(any(1)));
}

TEST_F(PickerTest, NeverAsksAnyForMoreThanItLacks) {
  Picker picker = make(3);
  picker.peer_joined(kDepot, {}, t0_);
  EXPECT_THAT(picker.poll(t0_), ElementsAre(any(3)));
  for (const std::uint32_t i : {0U, 1U, 2U}) arrives(picker, kDepot, i, t0_);
  EXPECT_TRUE(picker.complete());
  EXPECT_THAT(picker.poll(t0_), IsEmpty());
  EXPECT_FALSE(picker.next_poll());
}

TEST_F(PickerTest, AResumedOneAsksOnlyForTheRest) {
  Picker picker({4, 8, 4}, with(4, {0, 1, 3}), random_);
  picker.set_credit(8);
  picker.peer_joined(1, all(4), t0_);
  EXPECT_THAT(picker.poll(t0_), ElementsAre(by_name(1, 2)));
}

TEST_F(PickerTest, CreditIsKeptUntilVerified) {
  Picker picker = make(20, 2);
  picker.peer_joined(kDepot, {}, t0_);
  EXPECT_THAT(picker.poll(t0_), ElementsAre(any(2)));
  EXPECT_TRUE(picker.received(kDepot, 0, t0_));
  EXPECT_THAT(picker.poll(t0_), IsEmpty());
  picker.had(0, t0_);
  EXPECT_THAT(picker.poll(t0_), ElementsAre(any(1)));
  picker.set_credit(0);
  arrives(picker, kDepot, 1, t0_);
  EXPECT_THAT(picker.poll(t0_), IsEmpty());
}

TEST_F(PickerTest, TakesTheRarestFirst) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SeededRandom random(seed);
    Picker picker({20, 8, 4}, Bitmap(20), random);
    picker.set_credit(1);
    for (PeerId p = 2; p <= 4; ++p) {
      Bitmap has = all(20);
      has.clear(13);
      if (p > 2) has.clear(7);
      picker.peer_joined(p, has, t0_);
    }
    picker.peer_joined(1, all(20), t0_);
    // Peer 1 alone has 13, and with 2 alone 7.
    const auto asks = picker.poll(t0_);
    ASSERT_EQ(asks.size(), 1U);
    if (asks[0].peer == 1) {
      EXPECT_EQ(asks[0].span, 13U);
    } else if (asks[0].peer == 2) {
      EXPECT_EQ(asks[0].span, 7U);
    }
  }
}

TEST_F(PickerTest, EqualSpansAreTakenInRandomOrder) {
  std::set<std::uint32_t> first;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    SeededRandom random(seed);
    Picker picker({1000, 8, 4}, Bitmap(1000), random);
    picker.set_credit(1);
    picker.peer_joined(1, all(1000), t0_);
    first.insert(picker.poll(t0_).at(0).span);
  }
  EXPECT_GT(first.size(), 25U);
}

TEST_F(PickerTest, SpreadsOverHoldersAndKeepsTheirWindows) {
  Picker picker = make(1000, 100);
  for (PeerId p = 1; p <= 3; ++p) picker.peer_joined(p, all(1000), t0_);
  std::map<PeerId, int> count;
  std::set<std::uint32_t> spans;
  for (const Ask& ask : picker.poll(t0_)) ++count[ask.peer], spans.insert(ask.span);
  EXPECT_THAT(count, ElementsAre(std::pair(1, 2), std::pair(2, 2), std::pair(3, 2)));
  EXPECT_EQ(spans.size(), 6U);
}

TEST_F(PickerTest, WindowsGrowWhileAnswersAreQuick) {
  Picker picker = make(1000, 100);
  picker.peer_joined(1, all(1000), t0_);
  Instant now = t0_;
  std::vector<std::uint32_t> out;
  for (int round = 0; round < 10; ++round) {
    for (const Ask& ask : picker.poll(now)) out.push_back(ask.span);
    now += 1ms;
    if (round < 9) arrives(picker, 1, out.front(), now), out.erase(out.begin());
  }
  EXPECT_EQ(out.size(), 4U);
}

TEST_F(PickerTest, LeavesTheDepotAloneAfterNoneLeft) {
  Picker picker = make(20);
  picker.peer_joined(kDepot, {}, t0_);
  picker.set_active(5, t0_);
  EXPECT_FALSE(picker.poll(t0_).empty());
  picker.none_left(8, t0_);
  EXPECT_THAT(picker.poll(t0_), IsEmpty());
  ASSERT_TRUE(picker.next_poll());
  EXPECT_LE(*picker.next_poll(), t0_ + 100ms);
  EXPECT_FALSE(picker.poll(t0_ + 100ms).empty());
  picker.none_left(8, t0_ + 100ms);
  EXPECT_THAT(picker.poll(t0_ + 110ms), IsEmpty());
  picker.peer_joined(1, with(20, {}), t0_ + 110ms);
  picker.peer_left(1, t0_ + 120ms);  // what that one had is fresh again
  EXPECT_FALSE(picker.poll(t0_ + 120ms).empty());
  picker.none_left(8, t0_ + 120ms);
  picker.set_active(4, t0_ + 130ms);
  EXPECT_FALSE(picker.poll(t0_ + 130ms).empty());
}

// Runs `picker` against a depot that has nothing fresh; what it asks by name, with the time.
std::vector<std::pair<Duration, Ask>> dry_depot(Picker& picker, Instant from, Duration length) {
  std::vector<std::pair<Duration, Ask>> out;
  for (Instant now = from; now < from + length; now += 5ms) {
    for (const Ask& ask : picker.poll(now)) {
      if (ask.kind == Ask::Kind::any) {
        picker.none_left(ask.count, now);
      } else {
        out.emplace_back(now - from, ask);
      }
    }
  }
  return out;
}

TEST_F(PickerTest, AsksTheDepotByNameAfterTheGrace) {
  Picker picker = make(3);
  picker.set_active(3, t0_);
  picker.peer_joined(kDepot, {}, t0_);
  picker.peer_joined(1, with(3, {}), t0_);
  EXPECT_THAT(dry_depot(picker, t0_, kDepotGrace - 5ms), IsEmpty());
  const auto asked = dry_depot(picker, t0_ + kDepotGrace, kDepotGrace);
  ASSERT_EQ(asked.size(), 2U);  // eight in the window, shared by three
  EXPECT_EQ(asked[0].second.peer, kDepot);
  // News of the swarm start the wait anew.
  arrives(picker, kDepot, asked[0].second.span, t0_ + 600ms);
  arrives(picker, kDepot, asked[1].second.span, t0_ + 600ms);
}

TEST_F(PickerTest, AloneItAsksByNameAtOnce) {
  Picker picker = make(3);
  picker.peer_joined(kDepot, {}, t0_);
  const auto asked = dry_depot(picker, t0_, 10ms);
  EXPECT_EQ(asked.size(), 3U);
}

TEST_F(PickerTest, WhatAPeerAnnouncesIsNotAskedOfTheDepot) {
  Picker picker = make(1);
  picker.set_active(2, t0_);
  picker.peer_joined(kDepot, {}, t0_);
  picker.peer_joined(1, Bitmap(1), t0_);
  EXPECT_THAT(dry_depot(picker, t0_, 200ms), IsEmpty());
  picker.peer_has(1, 0, t0_ + 200ms);
  EXPECT_THAT(picker.poll(t0_ + 200ms), ElementsAre(by_name(1, 0)));
}

TEST_F(PickerTest, AnOverdueRequestIsAskedElsewhereAndTheFirstAnswerWins) {
  Picker picker = make(40, 2);
  picker.peer_joined(1, with(40, {0}), t0_);
  EXPECT_THAT(picker.poll(t0_), ElementsAre(by_name(1, 0)));
  picker.peer_joined(2, with(40, {0}), t0_ + 1s);
  picker.set_credit(1);
  EXPECT_THAT(picker.poll(t0_ + kRequestTimeout - 1ns), IsEmpty());
  EXPECT_THAT(*picker.next_poll(), t0_ + kRequestTimeout);
  EXPECT_THAT(picker.poll(t0_ + kRequestTimeout), ElementsAre(by_name(2, 0)));
  arrives(picker, 1, 0, t0_ + 4s);  // late, but first
  EXPECT_FALSE(picker.received(2, 0, t0_ + 5s));
  EXPECT_EQ(picker.duplicates(), 1U);
}

TEST_F(PickerTest, NearTheEndASlowRequestIsDoubledOnce) {
  Picker picker = make(2, 8);
  for (PeerId p = 1; p <= 3; ++p) picker.peer_joined(p, with(2, {0}), t0_);
  const auto first = picker.poll(t0_);
  ASSERT_EQ(first.size(), 1U);
  std::vector<Ask> more;
  for (Instant now = t0_; now < t0_ + 2s; now += 10ms) {
    for (const Ask& ask : picker.poll(now)) more.push_back(ask);
  }
  ASSERT_EQ(more.size(), 1U);
  EXPECT_EQ(more[0].span, 0U);
  EXPECT_NE(more[0].peer, first[0].peer);
}

TEST_F(PickerTest, ABadPeerIsNeverAskedAgain) {
  Picker picker = make(10, 1);
  picker.peer_joined(1, all(10), t0_);
  const auto ask = picker.poll(t0_).at(0);
  EXPECT_TRUE(picker.received(1, ask.span, t0_));
  picker.bad(ask.span, t0_);
  EXPECT_THAT(picker.poll(t0_), IsEmpty());
  picker.peer_left(1, t0_);
  picker.peer_joined(1, all(10), t0_);
  EXPECT_THAT(picker.poll(t0_), IsEmpty());
  picker.peer_joined(2, with(10, {ask.span}), t0_);
  EXPECT_THAT(picker.poll(t0_), ElementsAre(by_name(2, ask.span)));
}

TEST_F(PickerTest, ASpanThatAPeerRefusesIsAskedAgainWhenItAnnouncesIt) {
  Picker picker = make(1);
  picker.peer_joined(1, all(1), t0_);
  EXPECT_THAT(picker.poll(t0_), ElementsAre(by_name(1, 0)));
  picker.not_held(1, 0, t0_);
  EXPECT_THAT(picker.poll(t0_ + 1h), IsEmpty());
  picker.peer_has(1, 0, t0_ + 1h);
  EXPECT_THAT(picker.poll(t0_ + 1h), ElementsAre(by_name(1, 0)));
}

TEST_F(PickerTest, WhatTheDepotRefusesIsLeftForAWhile) {
  Picker picker = make(1);
  picker.peer_joined(kDepot, {}, t0_);
  ASSERT_THAT(picker.poll(t0_), ElementsAre(any(1)));
  EXPECT_TRUE(picker.received(kDepot, 0, t0_));
  picker.bad(0, t0_);
  EXPECT_THAT(dry_depot(picker, t0_, 990ms), IsEmpty());
  const auto asked = dry_depot(picker, t0_ + 1s, 200ms);
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].second, by_name(kDepot, 0));
}

TEST_F(PickerTest, ALeavingSourceGivesItsSpansBack) {
  Picker picker = make(30, 6);
  picker.peer_joined(1, with(30, {4, 5}), t0_);
  picker.peer_joined(kDepot, {}, t0_);
  std::set<std::uint32_t> named;
  for (const Ask& ask : picker.poll(t0_)) {
    if (ask.kind == Ask::Kind::span) named.insert(ask.span);
  }
  EXPECT_THAT(named, ElementsAre(4, 5));
  picker.peer_left(1, t0_);
  EXPECT_FALSE(picker.received(1, *named.begin(), t0_));  // from nobody
  EXPECT_THAT(picker.poll(t0_), ElementsAre(any(3)));     // alone: the window whole, within the credit
  picker.peer_left(kDepot, t0_);
  EXPECT_THAT(picker.poll(t0_), IsEmpty());
  picker.peer_joined(kDepot, {}, t0_ + 1min);
  EXPECT_THAT(picker.poll(t0_ + 1min), ElementsAre(any(6)));
}

// All is held by one slow peer: the depot, which nobody else needs, does the most of it.
TEST_F(PickerTest, ASlowPeerDoesNotKeepTheDepotIdle) {
  Picker picker = make(100);
  picker.peer_joined(kDepot, {}, t0_);
  picker.peer_joined(1, all(100), t0_);
  std::vector<std::pair<Instant, Ask>> slow;
  std::vector<std::uint32_t> fast;
  Instant now = t0_;
  for (; !picker.complete() && now < t0_ + 100s; now += 10ms) {
    for (const std::uint32_t span : std::exchange(fast, {})) {
      if (picker.received(kDepot, span, now)) picker.had(span, now);
    }
    if (!slow.empty() && now >= slow.front().first + 1s) {
      if (picker.received(1, slow.front().second.span, now)) picker.had(slow.front().second.span, now);
      slow.erase(slow.begin());
    }
    for (const Ask& ask : picker.poll(now)) {
      if (ask.kind == Ask::Kind::any) {
        picker.none_left(ask.count, now);
      } else if (ask.peer == kDepot) {
        fast.push_back(ask.span);
      } else {
        slow.emplace_back(now, ask);
      }
    }
  }
  EXPECT_LT(now, t0_ + 2s);
}

TEST_F(PickerTest, AnySpanThatIsAskedFromAPeerIsWelcome) {
  Picker picker = make(10, 4);
  picker.peer_joined(1, with(10, {3}), t0_);
  picker.peer_joined(kDepot, {}, t0_);
  EXPECT_THAT(picker.poll(t0_), UnorderedElementsAre(any(2), by_name(1, 3)));
  arrives(picker, kDepot, 3, t0_);
  EXPECT_FALSE(picker.received(1, 3, t0_));
  EXPECT_EQ(picker.duplicates(), 1U);
}

TEST_F(PickerTest, MulticastFillsInWithoutBeingAsked) {
  Picker picker = make(2, 4);
  picker.peer_joined(1, with(2, {0}), t0_);
  EXPECT_THAT(picker.poll(t0_), ElementsAre(by_name(1, 0)));
  picker.had(0, t0_);
  EXPECT_FALSE(picker.received(1, 0, t0_));
  picker.had(1, t0_);
  EXPECT_TRUE(picker.complete());
}

TEST_F(PickerTest, WhatNobodyAskedForIsRefused) {
  Picker picker = make(5);
  picker.peer_joined(1, Bitmap(5), t0_);
  picker.peer_joined(kDepot, {}, t0_);
  EXPECT_FALSE(picker.received(1, 2, t0_));
  EXPECT_FALSE(picker.received(kDepot, 2, t0_));
  EXPECT_FALSE(picker.received(9, 2, t0_));
  EXPECT_FALSE(picker.received(kDepot, 99, t0_));
  EXPECT_EQ(picker.duplicates(), 4U);
  picker.peer_has(1, 99, t0_);
  picker.had(99, t0_);
  picker.bad(99, t0_);
  picker.not_held(1, 99, t0_);
  picker.none_left(100, t0_);
}

TEST_F(PickerTest, AFrozenDepotDoesNotKeepTheCreditOfPeers) {
  for (const std::uint32_t credit : {1U, 2U, 5U, 8U}) {
    Picker picker = make(40, credit);
    picker.set_active(2, t0_);
    picker.peer_joined(kDepot, {}, t0_);
    EXPECT_FALSE(picker.poll(t0_).empty());
    picker.peer_joined(1, all(40), t0_ + 1s);
    std::vector<Ask> asks;
    for (Instant now = t0_ + 1s; now < t0_ + 20s; now += 100ms) {
      for (const Ask& ask : picker.poll(now)) {
        if (ask.peer == 1) arrives(picker, 1, ask.span, now);
      }
    }
    EXPECT_TRUE(picker.complete()) << "credit " << credit << ", has " << picker.have().count();
  }
}

}  // namespace
}  // namespace stampede::swarm

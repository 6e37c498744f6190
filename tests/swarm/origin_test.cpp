#include "transport/swarm/origin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stampede::swarm {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const Instant t0{};

Bitmap with(std::uint32_t size, std::initializer_list<std::uint32_t> spans) {
  Bitmap out(size);
  for (const std::uint32_t i : spans) out.set(i);
  return out;
}

TEST(Origin, GivesOneMemberEverythingInOrder) {
  Origin origin(5);
  origin.join(1, Bitmap(5), t0);
  EXPECT_THAT(origin.allot(1, 2, t0), ElementsAre(0, 1));
  EXPECT_THAT(origin.allot(1, 9, t0), ElementsAre(2, 3, 4));
  EXPECT_THAT(origin.allot(1, 9, t0), IsEmpty());
}

TEST(Origin, GivesEachSpanOnce) {
  Origin origin(100);
  for (MemberId m = 0; m < 4; ++m) origin.join(m, Bitmap(100), t0);
  std::vector<bool> given(100);
  for (int round = 0; round < 25; ++round) {
    for (MemberId m = 0; m < 4; ++m) {
      const auto spans = origin.allot(m, 1, t0);
      ASSERT_EQ(spans.size(), 1U);
      ASSERT_FALSE(given[spans[0]]);
      given[spans[0]] = true;
      if (round % 2 == 0) origin.has(m, spans[0], t0);
    }
  }
  for (MemberId m = 0; m < 4; ++m) EXPECT_THAT(origin.allot(m, 1, t0), IsEmpty());
}

TEST(Origin, SkipsWhatAnyMemberHolds) {
  Origin origin(6);
  origin.join(1, with(6, {0, 1}), t0);
  origin.join(2, with(6, {3}), t0);
  EXPECT_THAT(origin.allot(1, 9, t0), ElementsAre(2, 4, 5));
}

TEST(Origin, WhatOnlyALeaverHadIsFreshAgain) {
  Origin origin(6);
  origin.join(1, with(6, {0, 1}), t0);
  origin.join(2, with(6, {1, 2}), t0);
  EXPECT_THAT(origin.allot(1, 1, t0), ElementsAre(3));
  EXPECT_THAT(origin.allot(2, 9, t0), ElementsAre(4, 5));
  origin.leave(1);
  EXPECT_FALSE(origin.known(1));
  EXPECT_THAT(origin.allot(2, 9, t0), ElementsAre(0, 3));
  origin.leave(1);  // twice does no harm
}

TEST(Origin, WhatIsAskedByNameIsOnItsWay) {
  Origin origin(3);
  origin.join(1, Bitmap(3), t0);
  origin.join(2, Bitmap(3), t0);
  origin.asked(1, 0, t0);
  EXPECT_THAT(origin.allot(2, 9, t0), ElementsAre(1, 2));
  origin.leave(1);
  EXPECT_THAT(origin.allot(2, 9, t0), ElementsAre(0));
}

TEST(Origin, ASilentMemberCountsNoLonger) {
  Origin origin(6);
  origin.join(1, with(6, {5}), t0);
  origin.join(2, Bitmap(6), t0);
  EXPECT_THAT(origin.allot(1, 2, t0), ElementsAre(0, 1));
  EXPECT_THAT(origin.allot(2, 3, t0), ElementsAre(2, 3, 4));
  for (int i = 1; i <= 9; ++i) {
    const auto now = t0 + i * 1s;
    for (const std::uint32_t span : {2U, 3U, 4U}) origin.has(2, span, t0 + 1s);
    origin.heard(2, false, now);
  }
  EXPECT_EQ(origin.active(t0 + 9s), 2U);
  EXPECT_EQ(origin.active(t0 + kActiveFor), 1U);
  EXPECT_THAT(origin.allot(2, 9, t0 + kActiveFor), ElementsAre(0, 1, 5));
  // It comes back, and what it holds counts again.
  origin.heard(1, false, t0 + 12s);
  EXPECT_EQ(origin.active(t0 + 12s), 2U);
  origin.join(3, Bitmap(6), t0 + 12s);
  origin.leave(2);
  EXPECT_THAT(origin.allot(3, 9, t0 + 12s), ElementsAre(0, 1, 2, 3, 4));
}

TEST(Origin, ASpanThatIsLongOnItsWayGoesToAnother) {
  Origin origin(4);
  origin.join(1, Bitmap(4), t0);
  origin.join(2, Bitmap(4), t0);
  EXPECT_THAT(origin.allot(1, 2, t0), ElementsAre(0, 1));
  EXPECT_THAT(origin.allot(2, 2, t0), ElementsAre(2, 3));
  EXPECT_THAT(origin.allot(2, 2, t0 + kLostAfter - 1ms), IsEmpty());
  EXPECT_THAT(origin.allot(1, 2, t0 + kLostAfter), ElementsAre(2, 3));  // never the same span twice to the same member
  EXPECT_THAT(origin.allot(2, 2, t0 + kLostAfter), ElementsAre(0, 1));
}

TEST(Origin, HowLongIsLongFollowsTheSwarm) {
  Origin origin(50);
  origin.join(1, Bitmap(50), t0);
  origin.join(2, Bitmap(50), t0);
  Instant now = t0;
  for (std::uint32_t i = 0; i < 40; ++i) {  // a slow site: a second for a span
    ASSERT_THAT(origin.allot(1, 1, now), ElementsAre(i));
    origin.has(1, i, now += 1s);
  }
  EXPECT_EQ(origin.allot(1, 10, now).size(), 10U);
  origin.heard(2, false, now);
  EXPECT_THAT(origin.allot(2, 1, now + 1500ms), IsEmpty());
  EXPECT_THAT(origin.allot(2, 1, now + 2100ms), ElementsAre(40));
}

TEST(Origin, MembersThatDoNotServe) {
  Origin origin(3);
  origin.join(1, Bitmap(3), t0, false);
  origin.join(2, Bitmap(3), t0, false);
  EXPECT_THAT(origin.allot(1, 2, t0), ElementsAre(0, 1));
  EXPECT_THAT(origin.allot(2, 9, t0), ElementsAre(0, 1, 2));
  origin.has(1, 0, t0);
  origin.join(3, Bitmap(3), t0);
  EXPECT_THAT(origin.allot(1, 9, t0), IsEmpty());  // it shall come from member 3
  EXPECT_THAT(origin.allot(3, 9, t0), ElementsAre(0, 1, 2));
  origin.leave(3);
  EXPECT_THAT(origin.allot(1, 9, t0), ElementsAre(2));
}

TEST(Origin, FinishedMembersAreMembersButNotActive) {
  Origin origin(2);
  origin.join(1, with(2, {0, 1}), t0);
  origin.join(2, Bitmap(2), t0);
  EXPECT_EQ(origin.active(t0), 2U);
  origin.heard(1, true, t0);
  EXPECT_EQ(origin.active(t0), 1U);
  EXPECT_EQ(origin.members(), 2U);
  EXPECT_THAT(origin.allot(2, 2, t0), IsEmpty());  // member 1 serves on
}

TEST(Origin, IgnoresStrangersAndSpansOutOfRange) {
  Origin origin(2);
  EXPECT_THAT(origin.allot(7, 2, t0), IsEmpty());
  origin.has(7, 0, t0);
  origin.asked(7, 0, t0);
  origin.heard(7, true, t0);
  origin.join(1, Bitmap(2), t0);
  origin.has(1, 2, t0);
  origin.asked(1, ~0U, t0);
  EXPECT_THAT(origin.allot(1, 9, t0), ElementsAre(0, 1));
}

}  // namespace
}  // namespace stampede::swarm

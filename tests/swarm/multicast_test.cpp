// What the picker leaves to multicast.
#include <gtest/gtest.h>

#include <algorithm>

#include "transport/swarm/picker.h"

namespace stampede::swarm {
namespace {

using namespace std::chrono_literals;

class Multicast : public ::testing::Test {
 protected:
  Multicast() {
    picker_.set_credit(8);
    picker_.expect_all();
    picker_.peer_joined(kDepot, {}, now_);
  }
  SeededRandom random_{1};
  Instant now_{1s};
  Picker picker_{{.span_count = 10}, Bitmap(10), random_};
};

TEST_F(Multicast, WhatItIsToBringIsNotAskedFor) {
  EXPECT_TRUE(picker_.poll(now_).empty());
  EXPECT_TRUE(picker_.poll(now_ + 10s).empty());
}

TEST_F(Multicast, WhatItFailsToBringIsAskedForAlone) {
  picker_.release(3, now_);
  const auto asks = picker_.poll(now_);
  ASSERT_EQ(asks.size(), 1U);
  EXPECT_EQ(asks[0], (Ask{Ask::Kind::span, kDepot, 3, 0}));
  picker_.release(3, now_);
  EXPECT_TRUE(picker_.poll(now_).empty());
}

// To the depot everything is fresh that the stream is still to bring: "any" would bring that twice.
TEST_F(Multicast, WhatOthersAreToGiveIsNotAskedOfTheDepotAtOnce) {
  picker_.set_active(3, now_);
  for (std::uint32_t span = 0; span < 3; ++span) picker_.release(span, now_);
  EXPECT_TRUE(picker_.poll(now_).empty());
  Bitmap held(10);
  for (std::uint32_t span = 0; span < 2; ++span) held.set(span);
  picker_.peer_joined(7, held, now_ += 20ms);
  for (const Ask& ask : picker_.poll(now_)) {
    EXPECT_EQ(ask.peer, 7U);
    EXPECT_TRUE(picker_.received(7, ask.span, now_));
    picker_.had(ask.span, now_);
  }
  EXPECT_EQ(picker_.have().count(), 2U);
  EXPECT_TRUE(picker_.poll(now_).empty());
  EXPECT_TRUE(picker_.next_poll());
  const auto asks = picker_.poll(now_ + 2s);
  ASSERT_EQ(asks.size(), 1U);
  EXPECT_EQ(asks[0], (Ask{Ask::Kind::span, kDepot, 2, 0}));
}

TEST_F(Multicast, AllIsAskedForWhenItEnds) {
  EXPECT_TRUE(picker_.caught(4));
  EXPECT_FALSE(picker_.caught(4));
  picker_.had(4, now_);
  picker_.release_all(now_);
  const auto asks = picker_.poll(now_);
  ASSERT_EQ(asks.size(), 1U);
  EXPECT_EQ(asks[0].count, 8U);
}

// What a disk may hold elsewhere: the rest is asked for by name, since the depot knows nothing of it.
TEST_F(Multicast, OnlyWhatSomebodyIsToBringIsLeftToHim) {
  Picker picker{{.span_count = 10}, Bitmap(10), random_};
  Bitmap elsewhere(10);
  for (std::uint32_t span = 0; span < 8; ++span) elsewhere.set(span);
  picker.expect(Bitmap(9));
  picker.expect(elsewhere);
  picker.set_credit(8);
  picker.peer_joined(kDepot, {}, now_);
  auto asks = picker.poll(now_);
  std::ranges::sort(asks, {}, &Ask::span);
  ASSERT_EQ(asks.size(), 2U);
  for (std::uint32_t i = 0; i < 2; ++i) EXPECT_EQ(asks[i], (Ask{Ask::Kind::span, kDepot, 8 + i, 0}));
  for (std::uint32_t span = 0; span < 7; ++span) picker.had(span, now_);
  EXPECT_TRUE(picker.poll(now_).empty());
  picker.release_all(now_);
  asks = picker.poll(now_);
  ASSERT_EQ(asks.size(), 1U) << "it was not there after all";
  EXPECT_EQ(asks[0].count, 1U);
}

TEST_F(Multicast, WhatItBringsDamagedIsAskedForAndItIsNotBanned) {
  EXPECT_TRUE(picker_.caught(4));
  picker_.bad(4, now_);
  EXPECT_EQ(picker_.poll(now_).size(), 1U);
  EXPECT_TRUE(picker_.caught(5));
}

TEST_F(Multicast, WhatIsUnderWayAlreadyIsNotLeftToIt) {
  Picker picker{{.span_count = 2}, Bitmap(2), random_};
  picker.set_credit(8);
  Bitmap all(2);
  all.set(0), all.set(1);
  picker.peer_joined(7, all, now_);
  ASSERT_EQ(picker.poll(now_).size(), 2U);
  picker.expect_all();
  EXPECT_TRUE(picker.received(7, 0, now_));
  EXPECT_FALSE(picker.caught(0));
  picker.had(0, now_);
  EXPECT_TRUE(picker.caught(1));  // it comes this way first
  EXPECT_FALSE(picker.received(7, 1, now_));
}

TEST_F(Multicast, CreditDoesNotHoldItBack) {
  picker_.set_credit(0);
  for (std::uint32_t span = 0; span < 10; ++span) {
    EXPECT_TRUE(picker_.caught(span));
    picker_.had(span, now_);
  }
  EXPECT_TRUE(picker_.complete());
}

}  // namespace
}  // namespace stampede::swarm

#include "transport/net/patience.h"

#include <gtest/gtest.h>

namespace stampede::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class PatienceTest : public ::testing::Test {
 protected:
  Instant at(Duration since) const { return Instant{} + std::chrono::hours(1) + since; }
  Patience patience_{{"depot", 7440}, seconds(20), at({})};
};

TEST_F(PatienceTest, OneAttemptIsMadeWhateverThePatience) {
  Patience none({"depot", 7440}, {}, at({}));
  EXPECT_FALSE(none.ended(at(seconds(5))));
  none.down(at(seconds(5)), "refused");
  EXPECT_TRUE(none.ended(at(seconds(5))));
  EXPECT_EQ(none.why().code, Code::unreachable);
}

TEST_F(PatienceTest, ADepotThatTakesConnectionsAndDropsThemDoesNotRenewIt) {
  for (int i = 1; i < 40; ++i) {
    patience_.up(at(milliseconds(500) * i));
    patience_.down(at(milliseconds(500) * i + milliseconds(400)), "closed");
  }
  EXPECT_FALSE(patience_.ended(at(seconds(19))));
  EXPECT_TRUE(patience_.ended(at(seconds(20))));
  EXPECT_EQ(patience_.why().code, Code::patience_ended);
}

TEST_F(PatienceTest, WhatIsOfUseRenewsIt) {
  patience_.up(at(seconds(1)));
  patience_.useful(at(seconds(2)));
  patience_.down(at(seconds(3)), "closed");
  EXPECT_FALSE(patience_.ended(at(seconds(22))));
  EXPECT_TRUE(patience_.ended(at(seconds(23))));
  patience_.useful(at(seconds(24)));  // a span from a peer
  EXPECT_FALSE(patience_.ended(at(seconds(43))));
  EXPECT_TRUE(patience_.ended(at(seconds(44))));
}

TEST_F(PatienceTest, ADepotThatStayedWasThereThoughNothingWasAskedOfIt) {
  patience_.up(at(seconds(1)));
  patience_.down(at(seconds(100)), "closed");
  EXPECT_FALSE(patience_.ended(at(seconds(119))));
  EXPECT_TRUE(patience_.ended(at(seconds(120))));
}

TEST_F(PatienceTest, WarnsOnceForEachAbsence) {
  EXPECT_TRUE(patience_.warning(at(seconds(1))).empty());
  EXPECT_NE(patience_.warning(at(seconds(3))).find("depot:7440"), std::string::npos);
  EXPECT_TRUE(patience_.warning(at(seconds(4))).empty());
  patience_.up(at(seconds(5)));
  patience_.useful(at(seconds(6)));
  patience_.down(at(seconds(7)), "closed");
  EXPECT_FALSE(patience_.warning(at(seconds(10))).empty());
}

}  // namespace
}  // namespace stampede::net

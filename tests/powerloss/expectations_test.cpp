#include "tests/powerloss/expectations.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "tests/scratch.h"

namespace stampede::powerloss {
namespace {

using Values = std::set<std::string>;

class ExpectationsTest : public ::testing::Test {
 protected:
  void SetUp() override { log_ = *File::open(folder_ / "log", O_RDWR | O_CREAT); }
  // An epoch of such marks, each at its own place in the log, among other writes.
  Epoch epoch(const std::vector<std::string>& marks) {
    Epoch epoch{{{0}, 4_KiB, {}, false}};
    for (const auto& mark : marks) {
      Bytes sector(512);
      std::ranges::copy(as_bytes(mark), sector.begin());
      EXPECT_TRUE(log_.write_at(end_, sector));
      epoch.push_back({kMarks, 512_B, end_, false});
      end_ += 512_B;
    }
    return epoch;
  }
  static constexpr Offset kMarks{1 << 20};
  Scratch folder_;
  File log_;
  Offset end_;
};

TEST_F(ExpectationsTest, WhatIsBegunMayBeAndWhatIsAcknowledgedMustBe) {
  Expectations expected;
  ASSERT_TRUE(expected.take(epoch({"STMPMARK allow a:1 one.img\n"}), kMarks, log_));
  EXPECT_EQ(expected.allowed().at("a:1"), (Values{"none", "one.img"}));
  EXPECT_EQ(expected.settled(), 0U);
  ASSERT_TRUE(expected.take(epoch({"STMPMARK settled a:1 one.img\n", "STMPMARK allow b:1 two.img\n"}), kMarks, log_));
  EXPECT_EQ(expected.allowed().at("a:1"), Values{"one.img"});
  EXPECT_EQ(expected.settled(), 1U);
  ASSERT_TRUE(expected.take(epoch({"STMPMARK allow a:1 none\n"}), kMarks, log_));
  EXPECT_EQ(expected.allowed().at("a:1"), (Values{"none", "one.img"}));
  ASSERT_TRUE(expected.take(epoch({"STMPMARK settled a:1 none\n"}), kMarks, log_));
  EXPECT_EQ(expected.allowed().at("a:1"), Values{"none"});
  EXPECT_EQ(expected.marks(), 5U);
}

TEST_F(ExpectationsTest, WhatIsNoMarkIsRefused) {
  for (const char* text : {"", "STMPMARK allow a:1\n", "STMPMARK perhaps a:1 one.img\n", "SOMETHING allow a:1 one.img\n"}) {
    Expectations expected;
    EXPECT_FALSE(expected.take(epoch({text}), kMarks, log_)) << text;
  }
}

}  // namespace
}  // namespace stampede::powerloss

#include "src/service/expected.h"

#include <gtest/gtest.h>

namespace stampede::service {
namespace {

constexpr chunker::ImageId kImage{{std::byte{1}}}, kOther{{std::byte{2}}};
constexpr Instant kStart{std::chrono::hours(1)};

TEST(Expected, CountsForItsImageUntilItIsGivenBack) {
  Expected expected;
  EXPECT_FALSE(expected.any(kImage, kStart));
  auto first = expected.add(kImage, kStart);
  auto second = expected.add(kImage, kStart);
  EXPECT_TRUE(expected.any(kImage, kStart));
  EXPECT_FALSE(expected.any(kOther, kStart));
  first.reset();
  EXPECT_TRUE(expected.any(kImage, kStart)) << "the other one";
  second.reset();
  EXPECT_FALSE(expected.any(kImage, kStart));
}

TEST(Expected, NotForEver) {
  Expected expected;
  const auto early = expected.add(kImage, kStart);
  const auto later = expected.add(kImage, kStart + kListensWithin / 2);
  EXPECT_TRUE(expected.any(kImage, kStart + kListensWithin));
  EXPECT_FALSE(expected.any(kImage, kStart + kListensWithin * 3 / 2));
  const auto next = expected.add(kOther, kStart + kListensWithin * 2);
  EXPECT_FALSE(expected.any(kImage, kStart)) << "what counts no more is let go of";
}

}  // namespace
}  // namespace stampede::service

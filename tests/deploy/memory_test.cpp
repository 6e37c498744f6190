#include "src/deploy/memory.h"

#include <gtest/gtest.h>

namespace stampede::deploy {
namespace {

chunker::Root image(std::uint32_t segments, std::uint32_t records, std::uint32_t data) {
  chunker::Root root;
  root.segments.resize(segments);
  for (auto& segment : root.segments) {
    segment.records = records;
    segment.data_records = data;
  }
  return root;
}

TEST(Memory, ASmallImageLeavesTheCacheItsShare) { EXPECT_EQ(cache_beside(image(3, 4096, 2048), std::nullopt), kMostCache); }

// 256 MiB are kept to as long as the cache has something to give.
TEST(Memory, TheCacheGivesWay) {
  const auto cache = cache_beside(image(100, 4096, 4096), std::nullopt);
  ASSERT_TRUE(cache);
  EXPECT_GT(*cache, kLeastCache);
  EXPECT_LT(*cache, kMostCache);
  EXPECT_EQ(most_memory(std::uint64_t{100} * 4096, 0, *cache), kTargetMemory);
}

TEST(Memory, WhatIsTooLargeForTheLimitIsRefusedAndSaysSo) {
  const auto root = image(400, 4096, 2048);
  const auto refused = cache_beside(root, 256_MiB);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::busy);
  EXPECT_NE(refused.error().message.find("--memory"), std::string::npos) << refused.error().message;
  EXPECT_EQ(cache_beside(root, 4_GiB), 4_GiB - most_memory(400 * 2048, 400 * 2048, {}));
}

// No machine has as much as this would take: 17 thousand million records.
TEST(Memory, NoRootMakesItOverflow) {
  const auto refused = cache_beside(image(1U << 18, 65535, 65535), std::nullopt);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::busy);
}

}  // namespace
}  // namespace stampede::deploy

#include "src/deploy/plan.h"

#include <gtest/gtest.h>

namespace stampede::deploy {
namespace {

chunker::Record record(chunker::RecordKind kind, Size length, std::uint8_t id = 0) {
  chunker::ChunkId chunk;
  chunk.digest.fill(std::byte{id});
  return {kind, length, chunk};
}

TEST(Plan, ASpanIsAsLargeAsAllItsPlaces) {
  using enum chunker::RecordKind;
  chunker::Manifest manifest;
  manifest.segments.push_back({{},
                               {record(data, 256_KiB, 1), record(zero, 1_MiB), record(repeat, 256_KiB, 1),
                                record(data, 64_KiB, 2), record(repeat, 256_KiB, 1), record(repeat, 64_KiB, 2)}});
  const Plan plan(manifest);
  EXPECT_EQ(plan.data(), 896_KiB);
  Size placed, plain;
  for (std::uint32_t i = 0; i < plan.spans().size(); ++i) {
    placed += plan.placed_size({i});
    plain += plan.spans()[i].plain_size();
  }
  EXPECT_EQ(plain, 320_KiB);
  EXPECT_EQ(placed, plan.data());
}

}  // namespace
}  // namespace stampede::deploy

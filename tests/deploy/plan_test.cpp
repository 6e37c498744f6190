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
    for (std::uint32_t chunk = 0; chunk < plan.spans()[i].chunks.size(); ++chunk) placed += plan.placed_size({{i}, chunk});
    plain += plan.spans()[i].plain_size();
  }
  EXPECT_EQ(plain, 320_KiB);
  EXPECT_EQ(placed, plan.data());
}

// Three spans of sixteen chunks of 64 KiB each.
class PlanParts : public ::testing::Test {
 protected:
  static chunker::Manifest manifest() {
    chunker::Manifest out;
    out.segments.emplace_back();
    for (std::uint8_t i = 0; i < 48; ++i) out.segments[0].records.push_back(record(chunker::RecordKind::data, 64_KiB, i));
    return out;
  }
  void hold(std::uint32_t span, std::uint32_t first, std::uint32_t count) {
    for (std::uint32_t i = first; i < first + count; ++i) plan_.hold({{span}, i});
  }
  std::vector<wire::ChunkRun> lacking_parts() const { return plan_.lacking_parts(skip_); }
  Plan plan_{manifest()};
  Bitmap skip_{3};
};

TEST_F(PlanParts, ASpanIsHeldWithItsLastChunk) {
  hold(0, 0, 16);
  hold(1, 0, 15);
  EXPECT_TRUE(plan_.held_spans().test(0));
  EXPECT_FALSE(plan_.held_spans().test(1));
  hold(1, 15, 1);
  EXPECT_EQ(plan_.held_spans().count(), 2U);
}

TEST_F(PlanParts, OnlySpansHeldInPartAreToldOf) {
  EXPECT_EQ(lacking_parts(), std::vector<wire::ChunkRun>{});
  hold(0, 0, 16);
  hold(1, 2, 3);
  hold(1, 8, 8);
  EXPECT_EQ(lacking_parts(), (std::vector<wire::ChunkRun>{{1, 0, 2}, {1, 5, 3}}));
  hold(2, 0, 15);
  EXPECT_EQ(lacking_parts().back(), (wire::ChunkRun{2, 15, 1}));
  skip_.set(1);
  EXPECT_EQ(lacking_parts(), (std::vector<wire::ChunkRun>{{2, 15, 1}}));
  skip_.clear(1);
  // As it is told, it can be read.
  const Bytes frame = wire::encode(wire::Partial{lacking_parts()});
  const auto header = wire::decode_header(ByteView(frame).first(wire::kHeaderSize));
  ASSERT_TRUE(header);
  EXPECT_TRUE(wire::decode(*header, Buffer(ByteView(frame).subspan(wire::kHeaderSize))));
}

}  // namespace
}  // namespace stampede::deploy

#include "chunker/manifest_diff.h"

#include "src/base/file.h"
#include "tests/chunker/images.h"
#include "tests/chunker/memory_store.h"

namespace stampede::chunker {
namespace {

using namespace stampede::testing;

class ManifestDiffTest : public ::testing::Test {
 protected:
  Manifest packaged(const std::vector<Piece>& pieces) {
    write_image(scratch_ / "image", kSize, pieces);
    TableFacts table;
    table.kind = TableKind::gpt;
    table.partitions = {{.number = 1, .offset = {1 << 20}, .length = 4_MiB, .type = {}, .flags = 0},
                        {.number = 3, .offset = {5 << 20}, .length = 4_MiB, .type = {}, .flags = 0}};
    const auto report = import_image(*File::open(scratch_ / "image", O_RDONLY), table, store_, {});
    EXPECT_DONE(report);
    return *load_manifest(store_, report->image);
  }
  static constexpr Size kSize = 10_MiB;
  Scratch scratch_;
  MemoryStore store_;
};

TEST_F(ManifestDiffTest, WhatIsTheSameIsAllInItsPlace) {
  const Manifest image = packaged({{1 << 20, random_bytes(1, 3 << 20)}, {5 << 20, random_bytes(1, 1 << 20)}});
  const ManifestDiff same = diff(image, image);
  EXPECT_EQ(same.total().same, 4_MiB);
  EXPECT_EQ(same.total().after, 4_MiB);
  EXPECT_EQ(same.gone, Size{});
  for (const PartitionDiff& one : same.partitions) EXPECT_FALSE(one.differs());
}

TEST_F(ManifestDiffTest, MovedRepeatedAndFresh) {
  const Bytes kept = random_bytes(1, 1 << 20), moved = random_bytes(2, 1 << 20), fresh = random_bytes(3, 1 << 20);
  const Manifest before = packaged({{1 << 20, kept}, {3 << 20, moved}, {7 << 20, random_bytes(4, 512 << 10)}});
  const Manifest after =
      packaged({{0, random_bytes(5, 4096)}, {1 << 20, kept}, {5 << 20, moved}, {7 << 20, fresh}, {(8 << 20) + 4096, fresh}});
  const ManifestDiff result = diff(before, after);
  ASSERT_EQ(result.partitions.size(), 3U);
  const auto& [outside, one, three] = std::tie(result.partitions[0], result.partitions[1], result.partitions[2]);
  EXPECT_EQ(outside.fresh, 4_KiB);
  EXPECT_EQ(one.partition, 1U);
  EXPECT_EQ(one.before, 2_MiB);
  EXPECT_EQ(one.after, 1_MiB);
  EXPECT_EQ(one.same, 1_MiB);
  EXPECT_TRUE(one.differs());
  EXPECT_EQ(three.partition, 3U);
  EXPECT_EQ(three.before, Size{512 << 10});
  EXPECT_EQ(three.after, 3_MiB);
  EXPECT_EQ(three.same, Size{});
  EXPECT_EQ(three.shared, 2_MiB);  // moved, and the second of the fresh ones
  EXPECT_EQ(three.fresh, 1_MiB);
  EXPECT_EQ(result.gone, Size{512 << 10});
}

TEST_F(ManifestDiffTest, NothingAndSomething) {
  const Manifest nothing = packaged({}), something = packaged(filesystem_like(1, 2048));
  EXPECT_EQ(diff(nothing, nothing).total().after, Size{});
  const auto all = diff(nothing, something);
  EXPECT_EQ(all.total().after, something.root.data_size);
  EXPECT_EQ(all.total().shared + all.total().fresh, something.root.data_size);
  EXPECT_EQ(all.gone, Size{});
  EXPECT_EQ(diff(something, nothing).gone, all.total().fresh);
}

}  // namespace
}  // namespace stampede::chunker

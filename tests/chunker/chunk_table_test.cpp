#include "chunker/chunk_table.h"

#include "tests/chunker/scratch.h"

namespace stampede::chunker {
namespace {

using namespace stampede::testing;

class ChunkTableTest : public ::testing::Test {
 protected:
  // Ids that begin alike share a slot.
  static ChunkId id(std::uint32_t number) {
    ChunkId id = id_of(number);
    if (number % 3 == 0) std::fill_n(id.digest.begin(), 8, std::byte{5});
    return id;
  }

  std::vector<ChunkId> ids_;
};

TEST_F(ChunkTableTest, FindsAllThatItTookAndNothingElse) {
  constexpr std::uint32_t kCount = 3000;
  ChunkTable table(kCount);
  const auto id_of = [this](std::uint32_t number) { return ids_.at(number); };
  for (std::uint32_t i = 0; i < kCount; ++i) {
    EXPECT_FALSE(table.find(id(i), id_of)) << i;
    ids_.push_back(id(i));
    EXPECT_EQ(table.insert(id(i), i, id_of), i);
  }
  for (std::uint32_t i = 0; i < kCount; ++i) EXPECT_EQ(table.find(id(i), id_of), i);
  for (std::uint32_t i = kCount; i < 2 * kCount; ++i) EXPECT_FALSE(table.find(id(i), id_of));
}

TEST_F(ChunkTableTest, TheFirstNumberOfAnIdStays) {
  ChunkTable table(2);
  const auto id_of = [this](std::uint32_t number) { return ids_.at(number); };
  ids_ = {id(1), id(1)};
  EXPECT_EQ(table.insert(id(1), 0, id_of), 0U);
  EXPECT_EQ(table.insert(id(1), 1, id_of), 0U);
}

TEST_F(ChunkTableTest, AnEmptyOneFindsNothing) {
  EXPECT_FALSE(ChunkTable().find(id(1), [this](std::uint32_t number) { return ids_.at(number); }));
}

}  // namespace
}  // namespace stampede::chunker

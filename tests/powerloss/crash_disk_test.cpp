#include "tests/powerloss/crash_disk.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/disk/scratch.h"

namespace stampede::powerloss {
namespace {

constexpr Size kDisk = 64_KiB;

Epoch sample_epoch(SeededRandom& random, std::size_t writes) {
  Epoch epoch;
  for (std::size_t i = 0; i < writes; ++i) {
    const std::uint64_t from = random.below(120), sectors = 1 + random.below(8);
    epoch.push_back({{from * 512}, {sectors * 512}, {random.below(100) * 512}, random.below(4) == 0});
  }
  return epoch;
}

class CrashDiskTest : public ::testing::Test {
 protected:
  CrashDiskTest() : random_(7), old_(disk::random_bytes(random_, kDisk.bytes)), log_(disk::random_bytes(random_, 65536)) {
    disk::put(folder_ / "old", old_);
    disk::put(folder_ / "log", log_);
    log_file_ = *File::open(folder_ / "log", O_RDONLY);
  }
  // What the writes make of it, worked out another way: sector by sector.
  void apply(Bytes& disk, const Write& write, Size from, Size length) const {
    for (std::uint64_t i = from.bytes; i < (from + length).bytes; ++i)
      disk[write.at.bytes + i] = write.zeros ? std::byte{0} : log_[write.data.bytes + i];
  }

  Scratch folder_;
  SeededRandom random_;
  Bytes old_, log_;
  File log_file_;
};

TEST_F(CrashDiskTest, StatesComeAndGoAndFlushesStay) {
  auto crash = CrashDisk::make(folder_.path(), folder_ / "old", log_file_);
  ASSERT_TRUE(crash);
  Bytes base = old_;
  for (int round = 0; round < 20; ++round) {
    const Epoch epoch = sample_epoch(random_, 1 + random_.below(12));
    for (int i = 0; i < 20; ++i) {
      const auto landed = choose_state(random_, epoch);
      Bytes expected = base;
      for (const Landed& part : landed) apply(expected, epoch[part.write], part.skipped, part.length);
      ASSERT_TRUE(crash->land(epoch, landed));
      EXPECT_EQ(disk::content_of(crash->path()), expected);
      ASSERT_TRUE(crash->undo());
      EXPECT_EQ(disk::content_of(crash->path()), base);
    }
    for (const Write& write : epoch) apply(base, write, {}, write.length);
    ASSERT_TRUE(crash->flush(epoch));
    EXPECT_EQ(disk::content_of(crash->path()), base);
  }
  EXPECT_EQ(disk::content_of(folder_ / "old"), old_);
}

// Every subset of a few writes comes, a later one before an earlier one too, and every way of tearing one.
TEST(ChooseState, ComesToAllThatCanBe) {
  SeededRandom random(3);
  const Epoch epoch(3, Write{{}, 4_KiB, {}, false});
  std::set<std::set<std::size_t>> subsets;
  std::set<std::pair<std::uint64_t, std::uint64_t>> torn;
  std::set<std::size_t> first_of_all;
  bool without_middle = false;
  for (int i = 0; i < 4000; ++i) {
    std::set<std::size_t> whole;
    std::size_t parts = 0;
    const auto landed = choose_state(random, epoch);
    for (const Landed& part : landed) {
      EXPECT_EQ(part.length.bytes % 512, 0U);
      EXPECT_EQ(part.skipped.bytes % 512, 0U);
      EXPECT_GT(part.length.bytes, 0U);
      ASSERT_LE((part.skipped + part.length).bytes, 4096U);
      if (part.length == 4_KiB)
        whole.insert(part.write);
      else
        torn.insert({part.skipped.bytes, part.length.bytes}), ++parts;
    }
    without_middle |= parts == 2;
    EXPECT_LE(parts, 2U);
    subsets.insert(whole);
    if (landed.size() == 3 && parts == 1) first_of_all.insert(landed.front().write);
  }
  EXPECT_EQ(subsets.size(), 7U);  // all three whole is the flush; one is always torn
  EXPECT_EQ(first_of_all.size(), 3U);
  EXPECT_TRUE(without_middle);
  for (std::uint64_t sectors = 1; sectors < 8; ++sectors) {
    EXPECT_TRUE(torn.contains({0, sectors * 512}));
    EXPECT_TRUE(torn.contains({sectors * 512, 4096 - sectors * 512}));
  }
}

TEST(ChooseState, ASectorIsOldOrNew) {
  SeededRandom random(5);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(choose_state(random, {Write{{}, 512_B, {}, false}}).empty());
  for (int i = 0; i < 100; ++i)
    for (const Landed& part : choose_state(random, {Write{{}, 16_KiB, {}, false}}, 4_KiB))
      EXPECT_EQ((part.skipped.bytes | part.length.bytes) % 4096, 0U);
}

}  // namespace
}  // namespace stampede::powerloss

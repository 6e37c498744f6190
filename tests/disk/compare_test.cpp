#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "src/disk/target.h"
#include "tests/disk/sample_image.h"
#include "tests/disk/scratch.h"

namespace stampede::disk {
namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;

class Compare : public ::testing::Test {
 protected:
  void open(Size size, TargetOptions options = {.slabs = 4, .depth = 4, .hash_threads = 3}) {
    size_ = size;
    auto target = Target::open(guarded_file(path(), size), size, options);
    ASSERT_TRUE(target) << target.error().message;
    target_ = std::move(*target);
  }
  std::filesystem::path path() const { return folder_.path() / "disk"; }
  std::vector<bool> compare(const std::vector<Expected>& expected) {
    auto result = target_->compare(expected, {});
    EXPECT_TRUE(result) << result.error().message;
    return result ? *result : std::vector<bool>{};
  }
  void flip(std::uint64_t at) {
    Bytes byte(1);
    const auto file = File::open(path(), O_RDWR);
    ASSERT_TRUE(file->read_at({at}, byte));
    byte[0] ^= std::byte{0x10};
    ASSERT_TRUE(file->write_at({at}, byte));
    ASSERT_TRUE(file->sync());
  }

  const Scratch folder_;
  Size size_;
  std::unique_ptr<Target> target_;
  SeededRandom random_{17};
};

// Of every range, one flipped bit anywhere is found, and in that range only.
TEST_F(Compare, FindsOneFlippedBit) {
  const Size size{8 * kMiB + 777};
  const SampleImage image = make_image(random_, size);
  put(path(), image.over({}, size));
  open(size);
  const std::vector<Expected> expected = image.expected();
  ASSERT_EQ(compare(expected), std::vector<bool>(expected.size(), true));
  for (int i = 0; i < 60; ++i) {
    const std::size_t index = i == 0 ? expected.size() - 1 : random_.below(expected.size());
    const Expected& range = expected[index];
    const std::uint64_t within = i % 3 == 0 ? 0 : i % 3 == 1 ? range.length.bytes - 1 : random_.below(range.length.bytes);
    flip(range.at.bytes + within);
    std::vector<bool> wanted(expected.size(), true);
    wanted[index] = false;
    ASSERT_EQ(compare(expected), wanted) << index << " at " << range.at.bytes + within;
    flip(range.at.bytes + within);
  }
}

TEST_F(Compare, AnyOrderOverlapsAndOddPlaces) {
  put(path(), random_bytes(random_, 4 * kMiB));
  const Bytes disk = content_of(path());
  open(4_MiB);
  chunker::Digester digester;
  std::vector<Expected> expected;
  std::vector<bool> wanted;
  for (int i = 0; i < 100; ++i) {
    const Offset at{random_.below(disk.size() - 300'000)};
    const Size length{random_.below(300'000) + 1};
    const bool right = random_.below(4) != 0;
    const auto id = digester.name(ByteView(disk).subspan(at.bytes + (right ? 0 : 1), length.bytes)).id();
    expected.push_back({at, length, id});
    wanted.push_back(right);
  }
  EXPECT_EQ(compare(expected), wanted);
}

TEST_F(Compare, ZerosInHolesAndInData) {
  std::filesystem::remove(path());
  put(path(), {});
  std::filesystem::resize_file(path(), 64 * kMiB);
  open(64_MiB);
  EXPECT_EQ(compare({{{0}, 64_MiB, std::nullopt}}), std::vector<bool>{true});
  flip(40 * kMiB + 5000);  // one block of data in the hole
  flip(41 * kMiB);
  flip(41 * kMiB);  // data, but zeros
  EXPECT_EQ(compare({{{0}, 40_MiB, std::nullopt},
                     {{40 * kMiB}, 1_MiB, std::nullopt},
                     {{41 * kMiB}, 23_MiB, std::nullopt},
                     {{0}, 64_MiB, std::nullopt},
                     {{40 * kMiB + 5001}, 1_MiB, std::nullopt},
                     {{40 * kMiB + 4000}, 1000_B, std::nullopt}}),
            (std::vector<bool>{true, false, true, false, true, true}));
}

TEST_F(Compare, NothingIsRight) {
  put(path(), Bytes(4096));
  open(4_KiB);
  EXPECT_EQ(compare({}), std::vector<bool>{});
  EXPECT_EQ(compare({{{4096}, 0_B, std::nullopt}}), std::vector<bool>{true});
}

TEST_F(Compare, TheHeldBackRegionIsReadFromMemory) {
  put(path(), random_bytes(random_, 4 * kMiB));
  open(4_MiB);
  ASSERT_TRUE(target_->begin(sample_record(4_MiB)));
  // On the disk the record is there; what will be there is zeros.
  EXPECT_EQ(compare({{{0}, 1_MiB, std::nullopt}}), std::vector<bool>{true});
  const Bytes edit = random_bytes(random_, 8192);
  ASSERT_TRUE(target_->blocks().write({kMiB - 4096}, edit));  // half inside
  const auto id = chunker::Digester().name(edit).id();
  EXPECT_EQ(compare({{{0}, 1_MiB, std::nullopt}, {{kMiB - 4096}, 8_KiB, id}, {{0}, 1020_KiB, std::nullopt}}),
            (std::vector<bool>{false, true, true}));
}

TEST_F(Compare, WorksWhileAllSlabsAreTaken) {
  const Bytes bytes = random_bytes(random_, 4 * kMiB);
  put(path(), bytes);
  open(4_MiB);
  std::vector<Slab> slabs;
  while (Slab slab = target_->try_slab()) slabs.push_back(std::move(slab));
  std::vector<Expected> expected;
  chunker::Digester digester;
  for (std::uint64_t at = 0; at < bytes.size(); at += 65536)
    expected.push_back({{at}, 64_KiB, digester.name(ByteView(bytes).subspan(at, 65536)).id()});
  EXPECT_EQ(compare(expected), std::vector<bool>(expected.size(), true));
}

TEST_F(Compare, EndsWhereProgressSaysSo) {
  put(path(), random_bytes(random_, 8 * kMiB));
  open(8_MiB);
  std::vector<Expected> expected;
  for (std::uint64_t at = 0; at < 8 * kMiB; at += 65536) expected.push_back({{at}, 64_KiB, chunker::ChunkId{}});
  const auto compared = target_->compare(expected, [](Size) { return false; });
  ASSERT_FALSE(compared);
  EXPECT_EQ(compared.error().code, Code::interrupted);
  EXPECT_EQ(target_->free_slabs(), 4U);
}

TEST_F(Compare, ProgressGrowsToTheWhole) {
  put(path(), random_bytes(random_, 8 * kMiB));
  open(8_MiB);
  std::vector<Expected> expected;
  for (std::uint64_t at = 0; at < 8 * kMiB; at += 65536) expected.push_back({{at}, 64_KiB, chunker::ChunkId{}});
  Size last;
  const auto thread = std::this_thread::get_id();
  const auto compared = target_->compare(expected, [&](Size done) {
    EXPECT_GE(done, last);
    EXPECT_EQ(std::this_thread::get_id(), thread);
    last = done;
    return true;
  });
  ASSERT_TRUE(compared);
  EXPECT_EQ(*compared, std::vector<bool>(expected.size(), false));
  EXPECT_EQ(last, 8_MiB);
  EXPECT_EQ(target_->free_slabs(), 4U);
}

TEST_F(Compare, BeyondTheEndIsAnError) {
  put(path(), Bytes(8192));
  open(8_KiB);
  for (const Expected& range : {Expected{{4096}, 8_KiB, std::nullopt}, Expected{{1 << 20}, 1_B, std::nullopt},
                                Expected{{0}, {~0ULL}, chunker::ChunkId{}}}) {
    const auto result = target_->compare(std::vector{range}, {});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::internal);
  }
}

TEST_F(Compare, AFileThatShrankIsAReadError) {
  put(path(), random_bytes(random_, 4 * kMiB));
  open(4_MiB);
  std::filesystem::resize_file(path(), 2 * kMiB);
  const auto result = target_->compare(std::vector{Expected{{3 * kMiB}, 64_KiB, chunker::ChunkId{}}}, {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::read_failed);
  EXPECT_NE(result.error().message.find("at byte 3145728"), std::string::npos) << result.error().message;
}

}  // namespace
}  // namespace stampede::disk

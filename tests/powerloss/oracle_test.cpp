// The oracle can say no.
#include "tests/powerloss/oracle.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "src/disk/in_progress.h"
#include "tests/disk/sample_image.h"
#include "tests/disk/scratch.h"
#include "tests/disk/table_model.h"

namespace stampede::powerloss {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
constexpr Size kDisk = 4_MiB;

class OracleTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!who_finds_a_table("/dev/null").empty()) GTEST_SKIP() << who_finds_a_table("/dev/null").front();
    SeededRandom random(17);
    for (Bytes* disk : {&old_, &new_}) {
      *disk = disk::random_bytes(random, kDisk.bytes);
      const std::byte id{disk == &old_ ? std::uint8_t{0x0d} : std::uint8_t{0x4e}};
      disk::write_gpt(*disk, kDisk, 512, {id, {{{1_MiB .bytes}, 2_MiB}}});
      (*disk)[440] = id;  // so that their boot sectors differ
    }
    disk::put(folder_ / "old", old_);
    disk::put(folder_ / "new", new_);
    marked_ = Bytes(kDisk.bytes);
    put_sectors(marked_, disk::encode_mark(disk::sample_record(kDisk)), 0, 0, 1);
  }
  static void put_sectors(Bytes& to, ByteView from, std::uint64_t source, std::uint64_t first, std::uint64_t count) {
    std::ranges::copy(from.subspan(source * 512, count * 512), to.begin() + static_cast<long>(first * 512));
  }
  std::string verdict(ByteView state, std::uint32_t sector = 512) {
    disk::put(folder_ / "state", state);
    auto oracle = Oracle::make(folder_ / "old", folder_ / "new", sector);
    auto disk = File::open(folder_ / "state", O_RDONLY);
    if (!oracle || !disk) return "no oracle";
    const auto kind = oracle->judge(*disk, folder_ / "state");
    return kind ? std::string(kKindNames[static_cast<std::size_t>(*kind)]) : kind.error().message;
  }
  // From the mark on, what a deployment has reached: its table's sectors, and data up to there.
  Bytes halfway(std::uint64_t data_until) {
    Bytes disk = marked_;
    put_sectors(disk, new_, 2048, 2048, (data_until - 1_MiB .bytes) / 512);
    return disk;
  }

  Scratch folder_;
  Bytes old_, new_, marked_;
  const std::uint64_t last_ = kDisk.bytes / 512 - 1;
};

TEST_F(OracleTest, KnowsWhatMayBe) {
  EXPECT_EQ(verdict(old_), "untouched");
  EXPECT_EQ(verdict(new_), "complete");
  EXPECT_EQ(verdict(marked_), "unbootable");
  EXPECT_EQ(verdict(halfway(2_MiB .bytes)), "unbootable");
  Bytes marked_old = old_;
  put_sectors(marked_old, marked_, 0, 0, 1);
  EXPECT_EQ(verdict(marked_old), "old");
  Bytes without_backup = old_;
  put_sectors(without_backup, Bytes(512), 0, last_, 1);
  EXPECT_EQ(verdict(without_backup), "old");
  Bytes unsigned_new = new_;
  put_sectors(unsigned_new, marked_, 0, 0, 1);
  EXPECT_EQ(verdict(unsigned_new), "fresh");
}

TEST_F(OracleTest, ATableOnHalfAnImageIsWrong) {
  Bytes disk = halfway(2_MiB .bytes);
  put_sectors(disk, new_, last_ - 32, last_ - 32, 33);  // the backup alone
  EXPECT_THAT(verdict(disk), HasSubstr("half an image"));
  Bytes primary = halfway(2_MiB .bytes);
  put_sectors(primary, new_, 1, 1, 33);
  EXPECT_THAT(verdict(primary), HasSubstr("half an image"));
  Bytes old_backup = halfway(2_MiB .bytes);
  put_sectors(old_backup, old_, last_ - 32, last_ - 32, 33);
  EXPECT_THAT(verdict(old_backup), HasSubstr("half an image"));
}

TEST_F(OracleTest, ABootSectorTooEarlyIsWrong) {
  Bytes disk = halfway(3_MiB .bytes);
  put_sectors(disk, new_, 0, 0, 1);
  EXPECT_THAT(verdict(disk), HasSubstr("a boot sector"));
  Bytes flipped = new_;
  flipped[2_MiB .bytes] ^= std::byte{1};
  EXPECT_THAT(verdict(flipped), HasSubstr("a boot sector"));
  Bytes old_sector = halfway(3_MiB .bytes);
  put_sectors(old_sector, old_, 0, 0, 1);
  EXPECT_THAT(verdict(old_sector), HasSubstr("half an image"));
}

TEST_F(OracleTest, ADiskThatNobodyKnowsIsWrong) {
  Bytes disk = halfway(2_MiB .bytes);
  disk[20] ^= std::byte{1};  // of the mark
  EXPECT_THAT(verdict(disk), HasSubstr("would not know"));
}

TEST_F(OracleTest, EveryProgramIsAsked) {
  const auto said = who_finds_a_table(folder_ / "new");
  for (const char* name : {"sgdisk", "sfdisk", "partx", "blkid"}) EXPECT_THAT(said, Contains(name));
}

TEST_F(OracleTest, KnowsLargerSectors) {
  for (Bytes* disk : {&old_, &new_}) {
    disk::write_gpt(*disk, kDisk, 4096,
                    {std::byte{disk == &old_ ? std::uint8_t{0x0d} : std::uint8_t{0x4e}}, {{{1_MiB .bytes}, 2_MiB}}});
    std::ranges::fill(std::span(*disk).last(512),
                      std::byte{0x55});  // of an older header for smaller sectors nothing is left
    std::ranges::fill(std::span(*disk).subspan(512, 3584), std::byte{0x66});
  }
  disk::put(folder_ / "old", old_);
  disk::put(folder_ / "new", new_);
  const auto said = who_finds_a_table(folder_ / "new", 4096_B);
  if (said == std::vector<std::string>{"no loop device here"}) GTEST_SKIP() << said.front();
  for (const char* name : {"sgdisk", "sfdisk", "partx", "blkid"}) EXPECT_THAT(said, Contains(name));
  EXPECT_EQ(verdict(old_, 4096), "untouched");
  Bytes marked_old = old_;
  put_sectors(marked_old, marked_, 0, 0, 8);
  EXPECT_EQ(verdict(marked_old, 4096), "old");
  put_sectors(marked_old, new_, 3000, 3000, 1);
  EXPECT_THAT(verdict(marked_old, 4096), HasSubstr("half an image"));
}

}  // namespace
}  // namespace stampede::powerloss

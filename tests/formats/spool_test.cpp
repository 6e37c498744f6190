#include "src/formats/spool.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "src/base/seams.h"
#include "tests/scratch.h"

namespace stampede::formats {
namespace {

class SpoolTest : public ::testing::Test {
 protected:
  Spool make(const SpoolLimits& limits = {}) {
    auto spool = Spool::make(folder_.path(), "source.img", limits);
    EXPECT_TRUE(spool) << spool.error().message;
    return *std::move(spool);
  }
  Bytes noise(std::size_t size) {
    Bytes bytes(size);
    random_.fill(bytes);
    return bytes;
  }
  static Bytes all_of(const File& file) {
    Bytes bytes(file.size()->bytes);
    EXPECT_TRUE(file.read_at({}, bytes));
    return bytes;
  }
  static std::uint64_t allocated(const File& file) {
    struct stat status{};
    EXPECT_EQ(::fstat(file.fd(), &status), 0);
    return static_cast<std::uint64_t>(status.st_blocks) * 512;
  }

  Scratch folder_;
  SeededRandom random_{7};
};

TEST_F(SpoolTest, HasNoNameAndIsOpenedByPath) {
  auto spool = make();
  ASSERT_TRUE(spool.write(as_bytes("hello")));
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
  const auto file = std::move(spool).finish();
  ASSERT_TRUE(file);
  EXPECT_EQ(file->name(), "source.img");
  const auto again = File::open(file->path(), O_RDONLY);
  ASSERT_TRUE(again);
  EXPECT_EQ(as_text(all_of(*again)), "hello");
}

TEST_F(SpoolTest, WhatIsWrittenInAnyPartsIsThere) {
  for (int round = 0; round < 50; ++round) {
    auto spool = make();
    Bytes expected;
    for (std::uint64_t part = 0; part < 12; ++part) {
      const std::size_t size = random_.below(random_.below(3) == 0 ? 2'500'000 : 9'000);
      const auto kind = random_.below(3);
      const Bytes bytes = kind == 0 ? noise(size) : Bytes(size);
      ASSERT_TRUE(kind == 2 ? spool.skip({size}) : spool.write(bytes));
      expected.insert(expected.end(), bytes.begin(), bytes.end());
      ASSERT_EQ(spool.position().bytes, expected.size());
    }
    const auto file = std::move(spool).finish();
    ASSERT_TRUE(file);
    ASSERT_EQ(all_of(*file), expected) << "round " << round;
  }
}

TEST_F(SpoolTest, ZerosAreHoles) {
  auto spool = make();
  ASSERT_TRUE(spool.write(Bytes(64 << 20)));
  ASSERT_TRUE(spool.write(noise(4096)));
  ASSERT_TRUE(spool.write(Bytes((64 << 20) - 100)));
  EXPECT_EQ(spool.stored().bytes, 4096U);
  const auto file = std::move(spool).finish();
  ASSERT_TRUE(file);
  EXPECT_EQ(file->size()->bytes, (128U << 20) + 4096 - 100);
  EXPECT_LE(allocated(*file), 64U << 10);
}

TEST_F(SpoolTest, EndsInAHole) {
  auto spool = make();
  ASSERT_TRUE(spool.write(noise(10)));
  ASSERT_TRUE(spool.skip(1_GiB));
  EXPECT_EQ(std::move(spool).finish()->size()->bytes, (1U << 30) + 10);
}

TEST_F(SpoolTest, DeclaredSizeCounts) {
  auto spool = make();
  ASSERT_TRUE(spool.declare(1_MiB));
  ASSERT_TRUE(spool.write(noise(1000)));
  EXPECT_EQ(spool.skip(1_MiB).error().code, Code::usage);
  EXPECT_EQ(spool.write(noise((1 << 20) - 999)).error().code, Code::usage);
  EXPECT_EQ(spool.position().bytes, 1000U);
  EXPECT_EQ(std::move(spool).finish()->size()->bytes, 1U << 20);
}

TEST_F(SpoolTest, DeclaredBelowWhatIsThereIsRefused) {
  auto spool = make();
  ASSERT_TRUE(spool.write(noise(1000)));
  EXPECT_EQ(spool.declare({999}).error().code, Code::usage);
}

TEST_F(SpoolTest, SizeIsLimited) {
  auto spool = make({.max_size = 1_MiB});
  EXPECT_EQ(spool.declare({(1U << 20) + 1}).error().code, Code::usage);
  ASSERT_TRUE(spool.declare(1_MiB));
  auto other = make({.max_size = 1_MiB});
  ASSERT_TRUE(other.write(Bytes(1 << 20)));
  const auto more = other.write(Bytes(1));
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, Code::usage);
  EXPECT_NE(more.error().message.find("source.img"), std::string::npos);
  EXPECT_NE(more.error().message.find("--max-size"), std::string::npos);
  EXPECT_EQ(other.skip({UINT64_MAX}).error().code, Code::usage);
}

TEST_F(SpoolTest, KeepsTheReserveFree) {
  auto empty = make();
  const auto space = std::move(empty).finish()->space();
  auto spool = make({.reserve = space->all});
  ASSERT_TRUE(spool.write(Bytes(4 << 20)));  // zeros take none
  ASSERT_TRUE(spool.skip(1_GiB));
  const auto written = spool.write(noise(1 << 20));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Code::no_space);
}

TEST_F(SpoolTest, FolderThatIsNone) { EXPECT_EQ(Spool::make(folder_ / "none", "x", {}).error().code, Code::usage); }

}  // namespace
}  // namespace stampede::formats

#include "src/volume/off_grid.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "src/base/file.h"
#include "tests/volume/images.h"

namespace stampede::volume {
namespace {

class OffGrid : public testing::Test {
 protected:
  void SetUp() override {
    if (!have("mkfs.vfat") || !have("mcopy")) GTEST_SKIP() << "needs dosfstools and mtools";
    for (int line = 0; line < 40000; ++line) text_ += fmt::format("line {:6} of a file\n", line);
    volume::put(scratch_ / "tree/file", text_);
    volume::put(scratch_ / "tree/small", "only a little");
  }
  // A small file, then a large one, on a file system of so many MiB.
  void make(unsigned mib, std::string_view options) {
    std::filesystem::remove(disk_);
    sh(fmt::format("mkfs.vfat {} -C {} {}", options, disk_.string(), mib * 1024));
    copy("tree/small", "small");
    copy("tree/file", "file");
  }
  void copy(const char* from, const char* to) {
    sh(fmt::format("mcopy -i {} {} ::{}", disk_.string(), (scratch_ / from).string(), to));
  }
  static void sh(const std::string& command) {
    const Ran ran = run(command);
    ASSERT_EQ(ran.code, 0) << command << "\n" << ran.output;
  }

  const Scratch scratch_;
  const std::filesystem::path disk_ = scratch_ / "disk";
  std::string text_;
};

// Small clusters, as mkfs chooses them for what is not large: the second file begins at an odd sector.
TEST_F(OffGrid, AFileBetweenBlocksIsFound) {
  make(64, "-F 32 -s 1");
  const auto off_grid = find_off_grid(disk_);
  ASSERT_TRUE(off_grid);
  ASSERT_EQ(off_grid->size(), 1U);
  const Range file = off_grid->front();
  EXPECT_NE(file.at.bytes % 4096, 0U);
  EXPECT_EQ(file.length.bytes, round_up(text_.size(), 512));
  Bytes bytes(file.length.bytes);
  ASSERT_TRUE(File::open(disk_, O_RDONLY)->read_at(file.at, bytes));
  EXPECT_EQ(as_text(ByteView(bytes).first(text_.size())), text_);
}

TEST_F(OffGrid, OnTheGridThereIsNothingToFind) {
  make(300, "-F 32 -s 8");
  const auto off_grid = find_off_grid(disk_);
  ASSERT_TRUE(off_grid);
  EXPECT_TRUE(off_grid->empty());
}

// Two names for the same clusters: whose they are is not known, and a list of such names has no end.
TEST_F(OffGrid, FilesThatShareClustersHaveNone) {
  make(64, "-F 32 -s 1");
  copy("tree/file", "other");
  EXPECT_EQ(find_off_grid(disk_)->size(), 2U);
  const File disk = std::move(File::open(disk_, O_RDWR).value());
  Bytes all(disk.size()->bytes);
  ASSERT_TRUE(disk.read_at({}, all));
  const std::size_t file = as_text(ByteView(all)).find("FILE       "), other = as_text(ByteView(all)).find("OTHER      ");
  ASSERT_NE(file, std::string_view::npos);
  ASSERT_NE(other, std::string_view::npos);
  for (const std::size_t of_cluster : {20, 21, 26, 27}) all[other + of_cluster] = all[file + of_cluster];
  ASSERT_TRUE(disk.write_at({}, all));
  EXPECT_TRUE(find_off_grid(disk_)->empty());
}

TEST_F(OffGrid, WhatIsNoDiskIsAnError) { EXPECT_FALSE(find_off_grid(scratch_ / "nosuch")); }

}  // namespace
}  // namespace stampede::volume

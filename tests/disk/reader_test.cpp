#include "src/disk/reader.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "src/base/aligned.h"
#include "tests/disk/scratch.h"

namespace stampede::disk {
namespace {

constexpr Size kFile = 9_MiB + 77_B;

class ReaderTest : public ::testing::Test {
 protected:
  ReaderTest() { reader_.will_read_into(memory_.bytes()); }
  // Of the file from there on, into the memory it was told of.
  void expect_read(Offset at, std::size_t size) {
    const MutableBytes out = memory_.bytes().first(size);
    std::ranges::fill(out, std::byte{0});
    const auto got = reader_.read_some_at(at, out);
    ASSERT_TRUE(got);
    EXPECT_EQ(*got, std::min<std::size_t>(size, model_.size() - std::min<std::size_t>(at.bytes, model_.size())));
    EXPECT_TRUE(std::ranges::equal(out.first(*got), ByteView(model_).subspan(at.bytes, *got))) << at.bytes << " " << size;
  }

  const Scratch folder_;
  SeededRandom random_{3};
  const Bytes model_ = random_bytes(random_, kFile.bytes);
  const AlignedMemory memory_{(10_MiB).bytes};
  FileReader reader_{(put(folder_ / "file", model_), std::move(File::open(folder_ / "file", O_RDONLY).value()))};
};

// More than one round of requests, and what is not whole ones.
TEST_F(ReaderTest, ReadsIntoMemoryThatItKnows) {
  for (const std::size_t size : {1UL, 4096UL, 700000UL, (9UL << 20)}) expect_read({}, size);
  expect_read({4096}, 8 << 20);
}

TEST_F(ReaderTest, WhereTheFileEndsThereIsLess) {
  expect_read({}, 10 << 20);
  expect_read({8 << 20}, 2 << 20);
  expect_read({kFile.bytes}, 4096);
}

TEST_F(ReaderTest, ReadsIntoOtherMemoryToo) {
  Bytes other(1 << 20);
  const auto got = reader_.read_some_at({12345}, other);
  ASSERT_TRUE(got);
  EXPECT_EQ(*got, other.size());
  EXPECT_TRUE(std::ranges::equal(other, ByteView(model_).subspan(12345, other.size())));
}

TEST_F(ReaderTest, WhatCannotBeReadIsAnError) {
  FileReader folder(std::move(File::open(folder_.path(), O_RDONLY).value()));
  folder.will_read_into(memory_.bytes());
  const auto got = folder.read_some_at({}, memory_.bytes().first(4096));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Code::read_failed);
}

}  // namespace
}  // namespace stampede::disk

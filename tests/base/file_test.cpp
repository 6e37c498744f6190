#include "src/base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "tests/scratch.h"

namespace stampede {
namespace {

class FileTest : public ::testing::Test {
 protected:
  Scratch folder_;
};

TEST_F(FileTest, ReplacedFilesAreWholeAndPrivate) {
  const auto path = folder_ / "f";
  ASSERT_TRUE(replace_file(path, as_bytes("one")));
  ASSERT_TRUE(replace_file(path, as_bytes("two")));
  EXPECT_EQ(as_text(*read_file(path, 10_B)), "two");
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
}

TEST_F(FileTest, ReadingHasALimit) {
  ASSERT_TRUE(replace_file(folder_ / "f", Bytes(100'000)));
  EXPECT_EQ(read_file(folder_ / "f", 100'000_B)->size(), 100'000U);
  EXPECT_EQ(read_file(folder_ / "f", 99'999_B).error().code, Code::usage);
  EXPECT_EQ(read_file(folder_ / "missing", 1_B).error().code, Code::usage);
  EXPECT_EQ(read_file(folder_.path(), 1_B).error().code, Code::usage);
  EXPECT_EQ(read_file_if_there(folder_ / "f", 100'000_B).value()->size(), 100'000U);
  EXPECT_EQ(read_file_if_there(folder_ / "missing", 1_B).value(), std::nullopt);
  EXPECT_EQ(read_file_if_there(folder_ / "f", 99'999_B).error().code, Code::usage);
  EXPECT_EQ(read_file_if_there(folder_ / "f/below", 1_B).error().code, Code::usage);
}

TEST_F(FileTest, PipesCanBeReadToTheirEnd) {
  const auto pipe = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const Bytes text(100'000, std::byte{'x'});  // more than a pipe holds
  const std::jthread writer([&] {
    const auto end = File::open(pipe, O_WRONLY);
    ASSERT_TRUE(end);
    for (ByteView left = text; !left.empty();) {
      const ssize_t written = ::write(end->fd(), left.data(), left.size());
      ASSERT_GT(written, 0);
      left = left.subspan(static_cast<std::size_t>(written));
    }
  });
  EXPECT_EQ(read_file(pipe, 100'000_B).value(), text);
}

TEST_F(FileTest, ANewNameReplacesNothing) {
  ASSERT_TRUE(replace_file(folder_ / "a", as_bytes("a")));
  ASSERT_TRUE(replace_file(folder_ / "b", as_bytes("b")));
  EXPECT_EQ(rename_to_new(folder_ / "a", folder_ / "b").error().code, Code::usage);
  EXPECT_EQ(as_text(*read_file(folder_ / "b", 10_B)), "b");
  ASSERT_TRUE(rename_to_new(folder_ / "a", folder_ / "c"));
  EXPECT_EQ(as_text(*read_file(folder_ / "c", 10_B)), "a");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "a"));
}

TEST_F(FileTest, ReadingPastTheEndIsAnErrorThatNamesTheFile) {
  ASSERT_TRUE(replace_file(folder_ / "f", Bytes(10)));
  const auto file = File::open(folder_ / "f", O_RDONLY);
  Bytes out(11);
  const auto read = file->read_at({0}, out);
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message.find((folder_ / "f").string()), std::string::npos);
  EXPECT_EQ(*file->read_some_at({4}, out), 6U);
}

TEST_F(FileTest, TellsItsHoles) {
  using Stored = File::Stored;
  constexpr Offset kBegin{256 << 10}, kMiddle{300 << 10}, kEnd{512 << 10}, kAll{1 << 20};
  const auto file = File::open(folder_ / "f", O_RDWR | O_CREAT);
  ASSERT_TRUE(file && file->truncate(kAll - Offset{}));
  EXPECT_EQ(*file->next_stored({}, kAll), (Stored{kAll, kAll}));
  ASSERT_TRUE(file->write_at(kBegin, Bytes((kEnd - kBegin).bytes, std::byte{1})));
  EXPECT_EQ(*file->next_stored({}, kAll), (Stored{kBegin, kEnd}));
  EXPECT_EQ(*file->next_stored(kMiddle, kAll), (Stored{kMiddle, kEnd}));
  EXPECT_EQ(*file->next_stored(kEnd, kAll), (Stored{kAll, kAll}));
  EXPECT_EQ(*file->next_stored({}, kMiddle), (Stored{kBegin, kMiddle}));
  EXPECT_EQ(*file->next_stored({}, {128 << 10}), (Stored{{128 << 10}, {128 << 10}}));
  EXPECT_EQ(*file->next_stored(kAll + 1_MiB, kAll + 2_MiB), (Stored{kAll + 2_MiB, kAll + 2_MiB}));
}

// A pipe, as a device.
TEST_F(FileTest, WhoCannotTellHolesStoresAll) {
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  const auto pipe = File::open(folder_ / "pipe", O_RDWR);
  ASSERT_TRUE(pipe);
  EXPECT_EQ(*pipe->next_stored({5}, {10}), (File::Stored{{5}, {10}}));
}

TEST_F(FileTest, AFullDeviceIsNoSpace) {
  const auto full = File::open("/dev/full", O_WRONLY);
  ASSERT_TRUE(full);
  EXPECT_EQ(full->write_at({}, Bytes(1)).error().code, Code::no_space);
}

TEST_F(FileTest, MakesFoldersPrivately) {
  ASSERT_TRUE(make_folders(folder_ / "a" / "b"));
  ASSERT_TRUE(make_folders(folder_ / "a" / "b"));
  struct stat status{};
  ASSERT_EQ(::stat((folder_ / "a" / "b").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700U);
  EXPECT_FALSE(make_folders("/proc/nothing/here"));
}

}  // namespace
}  // namespace stampede

#include "chunker/import_reader.h"

#include <fcntl.h>

#include <memory>
#include <new>

#include "chunker/types.h"
#include "tests/chunker/images.h"

namespace stampede::chunker {
namespace {

using namespace stampede::testing;

constexpr Size kSize = 3_MiB + 4096_B + 77_B;

class ImportReaderTest : public ::testing::Test {
 protected:
  ImportReaderTest() { write_image(path_, kSize, {{0, model_}}); }
  void drop_from_memory(Offset at, Size length) {
    const auto file = File::open(path_, O_RDWR);
    ASSERT_DONE(file);
    ASSERT_DONE(file->sync());
    ASSERT_EQ(
        ::posix_fadvise(file->fd(), static_cast<off_t>(at.bytes), static_cast<off_t>(length.bytes), POSIX_FADV_DONTNEED), 0);
  }
  // Of the file from there on.
  void expect_read(Offset at, std::size_t size) {
    const auto file = File::open(path_, O_RDONLY);
    ASSERT_DONE(file);
    const ImportReader reader(*file, kSize);
    const std::unique_ptr<std::byte[], void (*)(std::byte*)> memory(
        new (std::align_val_t(kBlock.bytes)) std::byte[kSize.bytes],
        [](std::byte* bytes) { ::operator delete[](bytes, std::align_val_t(kBlock.bytes)); });
    const MutableBytes out(memory.get(), size);
    std::ranges::fill(out, std::byte{0});
    ASSERT_DONE(reader.read(at, out));
    EXPECT_TRUE(std::ranges::equal(out, ByteView(model_).subspan(at.bytes, size))) << at.bytes << " " << size;
  }

  const Scratch folder_;
  const std::filesystem::path path_ = folder_ / "image";
  const Bytes model_ = random_bytes(5, kSize.bytes);
};

TEST_F(ImportReaderTest, ReadsWhatIsInMemoryAndWhatIsNot) {
  for (const bool cold : {false, true, false}) {
    if (cold) drop_from_memory({}, kSize);
    expect_read({}, kSize.bytes);
    if (cold) drop_from_memory({1 << 20}, 1_MiB);
    expect_read({4096}, 2 << 20);
    expect_read({1 << 20}, 64 << 10);
    expect_read({1 << 20}, 4096);
    expect_read({3 << 20}, 4096 + 77);
    expect_read({(3 << 20) + 4096}, 77);
  }
}

TEST_F(ImportReaderTest, WhatIsNotThereAnyMoreIsAnError) {
  const auto file = File::open(path_, O_RDWR);
  ASSERT_DONE(file);
  const ImportReader reader(*file, kSize);
  ASSERT_DONE(file->truncate(1_MiB));
  Bytes out(1 << 20);
  const auto read = reader.read({1 << 20}, out);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::read_failed);
}

}  // namespace
}  // namespace stampede::chunker

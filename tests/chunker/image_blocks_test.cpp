#include "chunker/image_blocks.h"

#include "chunker/seal.h"
#include "src/base/file.h"
#include "tests/chunker/images.h"
#include "tests/chunker/memory_store.h"

namespace stampede::chunker {
namespace {

using namespace stampede::testing;

class ImageBlocksTest : public ::testing::Test {
 protected:
  void SetUp() override {
    write_image(scratch_ / "image", kSize, filesystem_like(3, 6144));
    const auto report = import_image(*File::open(scratch_ / "image", O_RDONLY), {}, store_, {});
    ASSERT_DONE(report);
    manifest_ = *load_manifest(store_, report->image);
    bytes_ = *read_file(scratch_ / "image", 1_GiB);
  }

  static constexpr Size kSize{(24U << 20) + 100};
  Scratch scratch_;
  MemoryStore store_;
  Manifest manifest_;
  Bytes bytes_;
};

TEST_F(ImageBlocksTest, ReadsAnywhereWhatTheDiskHeld) {
  ImageBlocks blocks(manifest_, store_);
  EXPECT_EQ(blocks.size(), kSize);
  Bytes all(kSize.bytes);
  ASSERT_DONE(blocks.read({}, all));
  EXPECT_EQ(all, bytes_);
  SeededRandom random(5);
  for (int i = 0; i < 300; ++i) {
    const std::size_t at = random.below(kSize.bytes),
                      length = random.below(std::min<std::size_t>(kSize.bytes - at, 300'000)) + 1;
    Bytes out(length);
    ASSERT_DONE(blocks.read({at}, out));
    ASSERT_TRUE(std::ranges::equal(out, ByteView(bytes_).subspan(at, length))) << at << " " << length;
  }
}

TEST_F(ImageBlocksTest, SaysWhatIsWhere) {
  ImageBlocks blocks(manifest_, store_);
  Offset at;
  Size chunks;
  while (at.bytes < kSize.bytes) {
    const auto place = blocks.place(at);
    EXPECT_EQ(place.within, Size{});
    const ByteView bytes = ByteView(bytes_).subspan(at.bytes, place.left.bytes);
    EXPECT_EQ(place.chunk == nullptr, all_zero(bytes));
    if (place.chunk != nullptr) {
      EXPECT_EQ(*place.chunk, ChunkId{sha256(bytes)});
      chunks += place.left;
    }
    const auto inside = blocks.place(at + Size{place.left.bytes / 2});
    EXPECT_EQ(inside.chunk, place.chunk);
    EXPECT_EQ(inside.within + inside.left, place.left);
    at += place.left;
  }
  EXPECT_EQ(chunks, manifest_.root.data_size);
}

TEST_F(ImageBlocksTest, EndsWhereTheDiskEnds) {
  ImageBlocks blocks(manifest_, store_);
  Bytes out(100);
  EXPECT_DONE(blocks.read({kSize.bytes - 100}, out));
  EXPECT_DONE(blocks.read({kSize.bytes}, {}));
  EXPECT_CODE(Code::read_failed, blocks.read({kSize.bytes - 99}, out));
  EXPECT_CODE(Code::read_failed, blocks.read({UINT64_MAX}, out));
  EXPECT_CODE(Code::read_only, blocks.write({}, out));
}

TEST_F(ImageBlocksTest, GivesNothingThatIsAlteredOrMissing) {
  for (auto& [id, chunk] : store_.chunks) chunk.bytes.back() ^= std::byte{1};
  ImageBlocks blocks(manifest_, store_);
  Bytes out(kSize.bytes);
  EXPECT_CODE(Code::content_altered, blocks.read({}, out));
  store_.chunks.clear();
  EXPECT_CODE(Code::not_found, blocks.read({}, out));
}

TEST_F(ImageBlocksTest, WhatIsUnspecifiedReadsAsZeros) {
  for (Segment& segment : manifest_.segments)
    for (Record& record : segment.records)
      if (record.kind == RecordKind::zero) record.kind = RecordKind::unspecified;
  ImageBlocks blocks(manifest_, store_);
  Bytes all(kSize.bytes);
  ASSERT_DONE(blocks.read({}, all));
  EXPECT_EQ(all, bytes_);
}

}  // namespace
}  // namespace stampede::chunker

#include "src/casync/fixed_index.h"

#include "src/casync/zeros.h"
#include "tests/casync/image.h"

namespace stampede::casync {
namespace {

using namespace stampede::testing;

Result<Index> decoded(const FixedIndex& fixed, std::uint64_t step) {
  Bytes all;
  for (std::uint64_t first = 0; first < std::max<std::uint64_t>(fixed.count(), 1); first += step) {
    const Bytes part = fixed.part(first, step);
    all.insert(all.end(), part.begin(), part.end());
  }
  EXPECT_EQ(all.size(), fixed.size());
  return Index::decode(std::move(all));
}

TEST(CasyncFixedIndex, CoversEveryByte) {
  struct Case {
    std::uint64_t size;
    std::vector<Piece> pieces;
  };
  const std::vector<Case> cases{
      {0, {}},
      {1, {}},
      {65536, {}},
      {(5 << 20) + 5000, {}},
      {(3 << 20) + 77, {{0, random_bytes(4, (3 << 20) + 77)}}},
      {300 << 20, {{4096, random_bytes(5, 1 << 20)}, {(299 << 20) + 8192, random_bytes(6, 70000)}}},
      {24 << 20, filesystem_like(7, 6144)},
  };
  for (const auto& [size, pieces] : cases) {
    SCOPED_TRACE(size);
    const PackagedImage image({size}, pieces);
    const auto fixed = FixedIndex::make(image.store(), image.id(), {});
    ASSERT_DONE(fixed);
    const auto index = decoded(*fixed, 7);
    ASSERT_DONE(index);
    EXPECT_EQ(index->image_size(), Size{size});
    EXPECT_EQ(index->head().least, index->head().greatest);
    const Bytes bytes = image.bytes();
    for (std::size_t i = 0; i < index->count(); ++i) {
      const Chunk chunk = index->chunk(i);
      ASSERT_EQ(chunk.offset.bytes, i * kFixedPiece.bytes);
      const auto want = ByteView(bytes).subspan(chunk.offset.bytes, chunk.length.bytes);
      ASSERT_EQ(chunk.id, chunker::sha256(want));
      const auto piece = fixed->find({chunk.id});
      if (!piece) {
        EXPECT_EQ(zero_size({chunk.id}), chunk.length);
        continue;
      }
      const auto read = fixed->read(image.store(), *piece);
      ASSERT_DONE(read);
      EXPECT_TRUE(std::ranges::equal(*read, want)) << i;
    }
  }
}

TEST(CasyncFixedIndex, IsInterrupted) {
  const PackagedImage image(3_MiB, filesystem_like(3, 768));
  EXPECT_CODE(Code::interrupted, FixedIndex::make(image.store(), image.id(), [] { return true; }));
}

// A piece is found in many segments, and in a long run of zeros beside data.
TEST(CasyncFixedIndex, FindsItsPlaceInALargeDisk) {
  MemoryStore store;
  const auto add = [&](const chunker::ChunkId& id, ByteView bytes) {
    return store.put({id, chunker::Codec::raw, static_cast<std::uint32_t>(bytes.size()), copy(bytes)});
  };
  chunker::ManifestBuilder builder(512, add);
  std::vector<Bytes> chunks;
  for (std::uint64_t i = 0; i < 5'000; ++i) {
    const Bytes bytes = random_bytes(i, 4096);
    const chunker::ChunkId id{chunker::sha256(bytes)};
    ASSERT_DONE(add(id, bytes));
    ASSERT_DONE(builder.add_chunk(id, 4_KiB));
    if (i % 1000 == 999) ASSERT_DONE(builder.add_extent(chunker::ExtentKind::zero, 2_GiB));
  }
  const auto root = builder.finish();
  ASSERT_DONE(root);
  const Bytes record = encode(*root);
  const chunker::ImageId image{chunker::sha256(record)};
  ASSERT_DONE(add(chunker::as_chunk(image), record));
  const auto fixed = FixedIndex::make(store, image, {});
  ASSERT_DONE(fixed);
  const auto index = decoded(*fixed, 1000);
  ASSERT_DONE(index);
  std::size_t with_data = 0;
  for (std::size_t i = 0; i < index->count(); ++i) {
    const auto piece = fixed->find({index->chunk(i).id});
    if (!piece) continue;
    ++with_data;
    const auto read = fixed->read(store, *piece);
    ASSERT_DONE(read);
    EXPECT_EQ(chunker::sha256(*read), index->chunk(i).id) << i;
  }
  EXPECT_EQ(with_data, fixed->pieces_with_data());
}

}  // namespace
}  // namespace stampede::casync

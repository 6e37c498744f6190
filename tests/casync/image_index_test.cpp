#include "src/casync/image_index.h"

#include "src/casync/zeros.h"
#include "tests/casync/image.h"

namespace stampede::casync {
namespace {

using namespace stampede::testing;

Result<Bytes> stream(chunker::ChunkSource& source, const chunker::ImageId& image) {
  STAMPEDE_TRY(const auto chunks, ImageCuts::count(source, image));
  STAMPEDE_TRY(auto stream, IndexStream::open(source, image, chunks));
  Bytes all;
  while (true) {
    STAMPEDE_TRY(const Bytes part, stream.next());
    if (part.empty()) break;
    EXPECT_LE(part.size(), IndexStream::kPart.bytes);
    all.insert(all.end(), part.begin(), part.end());
  }
  EXPECT_EQ(all.size(), index_size(chunks));
  return all;
}

// What a client makes of an index: each chunk, zeros too, is got by its id alone.
Bytes assembled(const Index& index, MemoryStore& store) {
  Bytes image;
  chunker::Opener opener;
  for (std::size_t i = 0; i < index.count(); ++i) {
    const Chunk chunk = index.chunk(i);
    Bytes plain(chunk.length.bytes);
    if (const auto zeros = zero_size({chunk.id})) {
      EXPECT_EQ(*zeros, chunk.length);
    } else {
      const auto sealed = store.get({chunk.id});
      EXPECT_DONE(sealed);
      EXPECT_DONE(opener.open({{chunk.id}, sealed->codec, sealed->plain_size, sealed->bytes}, plain));
    }
    EXPECT_EQ(chunker::sha256(plain), chunk.id);
    image.insert(image.end(), plain.begin(), plain.end());
  }
  return image;
}

TEST(CasyncImageIndex, CoversEveryByte) {
  struct Case {
    std::uint64_t size;
    std::vector<Piece> pieces;
  };
  const std::vector<Case> cases{
      {0, {}},
      {1, {}},
      {4096, {}},
      {(5 << 20) + 4097, {}},
      {(3 << 20) + 77, {{0, random_bytes(4, (3 << 20) + 77)}}},
      {(1 << 20) + 77, {{0, random_bytes(5, 1 << 20)}}},
      {24 << 20, filesystem_like(7, 6144)},
  };
  for (const auto& [size, pieces] : cases) {
    SCOPED_TRACE(size);
    const PackagedImage image({size}, pieces);
    auto file = stream(image.store(), image.id());
    ASSERT_DONE(file);
    const auto index = Index::decode(std::move(*file));
    ASSERT_DONE(index);
    EXPECT_EQ(index->head().hash(), Hash::sha256);
    EXPECT_EQ(index->image_size(), Size{size});
    EXPECT_EQ(assembled(*index, image.store()), image.bytes());
  }
}

// Many segments, and a run of zeros that is longer than a part of the stream holds.
TEST(CasyncImageIndex, TakesLargeDisks) {
  MemoryStore store;
  const auto add = [&](const chunker::ChunkId& id, ByteView bytes) {
    return store.put({id, chunker::Codec::raw, static_cast<std::uint32_t>(bytes.size()), copy(bytes)});
  };
  chunker::ManifestBuilder builder(512, add);
  for (std::uint64_t i = 0; i < 10'000; ++i) ASSERT_DONE(builder.add_chunk(id_of(i), 64_KiB));
  ASSERT_DONE(builder.add_extent(chunker::ExtentKind::unspecified, 1_GiB * 100 + 4097_B));
  const auto root = builder.finish();
  ASSERT_DONE(root);
  const Bytes record = encode(*root);
  const chunker::ImageId image{chunker::sha256(record)};
  ASSERT_DONE(add(chunker::as_chunk(image), record));
  auto file = stream(store, image);
  ASSERT_DONE(file);
  const auto index = Index::decode(std::move(*file));
  ASSERT_DONE(index);
  EXPECT_EQ(index->count(), 10'000 + 400 * 1024 + 2U);
  EXPECT_EQ(index->chunk(9'999).id, id_of(9'999).digest);
  EXPECT_EQ(index->image_size(), root->disk_size);
}

TEST(CasyncImageIndex, RefusesMoreChunksThanAnIndexHolds) {
  MemoryStore store;
  const auto add = [&](const chunker::ChunkId& id, ByteView bytes) {
    return store.put({id, chunker::Codec::raw, static_cast<std::uint32_t>(bytes.size()), copy(bytes)});
  };
  chunker::ManifestBuilder builder(512, add);
  ASSERT_DONE(builder.add_extent(chunker::ExtentKind::zero, 1_GiB * (8 << 20)));
  const auto root = builder.finish();
  ASSERT_DONE(root);
  const Bytes record = encode(*root);
  const chunker::ImageId image{chunker::sha256(record)};
  ASSERT_DONE(add(chunker::as_chunk(image), record));
  EXPECT_CODE(Code::usage, ImageCuts::count(store, image));
}

TEST(CasyncImageIndex, SaysWhatIsMissing) {
  const PackagedImage image(3_MiB, filesystem_like(3, 768));
  EXPECT_CODE(Code::not_found, ImageCuts::count(image.store(), {id_of(1).digest}));
  const auto manifest = chunker::load_manifest(image.store(), image.id());
  ASSERT_DONE(manifest);
  image.store().chunks.erase(manifest->root.segments.front().id);
  EXPECT_CODE(Code::store_damaged, ImageCuts::count(image.store(), image.id()));
}

TEST(CasyncZeros, KnowTheirIds) {
  EXPECT_EQ(zero_pieces(1_MiB), 4U);
  EXPECT_EQ(zero_pieces(256_KiB + 4096_B + 1_B), 3U);
  EXPECT_EQ(zero_piece(260_KiB), 256_KiB);
  EXPECT_EQ(zero_piece(5000_B), 4096_B);
  EXPECT_EQ(zero_piece(17_B), 17_B);
  for (const Size size : {1_B, 4095_B, 4_KiB, 252_KiB, 256_KiB}) {
    EXPECT_EQ(zero_id(size).digest, chunker::sha256(Bytes(size.bytes)));
    EXPECT_EQ(zero_size(zero_id(size)), size);
  }
  EXPECT_EQ(zero_size({chunker::sha256(Bytes(4097))}), std::nullopt);
}

}  // namespace
}  // namespace stampede::casync

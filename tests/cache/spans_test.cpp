#include <thread>

#include "cache/span_cache.h"
#include "tests/cache/store_fixture.h"
#include "tests/chunker/memory_store.h"

namespace stampede::cache {
namespace {

using namespace stampede::testing;
using chunker::SpanIndex;

struct Stored {
  Scratch scratch;
  std::unique_ptr<Store> store = open_store(scratch / "store");
  std::shared_ptr<const chunker::Manifest> manifest;

  explicit Stored(const std::vector<std::vector<Piece>>& images) {
    for (const auto& pieces : images) {
      write_image(scratch / "image", {3000 * 4096 + 512}, pieces);
      auto loaded = chunker::load_manifest(store->chunks(), import_into(*store, scratch / "image").image);
      EXPECT_DONE(loaded);
      manifest = std::make_shared<const chunker::Manifest>(*std::move(loaded));
    }
  }
};

void expect_right(const chunker::Manifest& manifest, chunker::SpanSource& source) {
  chunker::Opener opener;
  Bytes plain(chunker::kMaxChunk.bytes);
  const auto spans = manifest.spans();
  for (std::uint32_t i = 0; i < spans.size(); ++i) {
    const auto sealed = source.span({i});
    ASSERT_TRUE(sealed);
    EXPECT_EQ(sealed->index, SpanIndex{i});
    ASSERT_EQ(sealed->parts.size(), spans[i].chunks.size());
    std::size_t at = 0;
    for (std::size_t c = 0; c < spans[i].chunks.size(); ++c) {
      const auto& [id, length, offset] = spans[i].chunks[c];
      const auto [codec, size] = sealed->parts[c];
      EXPECT_DONE(opener.open({id, codec, length, ByteView(sealed->bytes).subspan(at, size)}, plain));
      at += size;
    }
    EXPECT_EQ(at, sealed->bytes.size());
  }
  EXPECT_EQ(source.span({static_cast<std::uint32_t>(spans.size())}), nullptr);
}

TEST(SpansFrom, GivesEverySpan) {
  const Stored stored({filesystem_like(1, 3000)});
  EXPECT_GT(stored.manifest->root.span_count(), 4U);
  expect_right(*stored.manifest, *spans_from(stored.manifest, stored.store->chunks()));
}

TEST(SpansFrom, GathersFromSeveralPacks) {
  auto pieces = filesystem_like(2, 3000);
  const auto first = pieces;
  for (std::uint64_t i = 0; i < 20; ++i) pieces.push_back({i * 150 * 4096, random_bytes(i, 4096)});
  const Stored stored({first, pieces});
  EXPECT_EQ(files(stored.store->folder(), ".pack").size(), 2U);
  expect_right(*stored.manifest, *spans_from(stored.manifest, stored.store->chunks()));
}

TEST(SpansFrom, WorksWithAnySource) {
  const Scratch scratch;
  MemoryStore memory;
  write_image(scratch / "image", {1000 * 4096}, filesystem_like(3, 1000));
  const auto report = chunker::import_image(*File::open(scratch / "image", O_RDONLY), {}, memory, {});
  ASSERT_DONE(report);
  auto manifest = chunker::load_manifest(memory, report->image);
  ASSERT_DONE(manifest);
  const auto shared = std::make_shared<const chunker::Manifest>(*std::move(manifest));
  expect_right(*shared, *spans_from(shared, memory));
}

TEST(SpansFrom, GivesNothingWhereAChunkIsDamaged) {
  const Stored stored({filesystem_like(4, 3000)});
  const auto path = files(stored.store->folder(), ".pack")[0];
  const auto file = File::open(path, O_RDWR);
  ASSERT_DONE(file);
  ASSERT_DONE(file->write_at({16 + 64 + 10}, random_bytes(1, 8)));  // in the first record, so in the first span
  const auto source = spans_from(stored.manifest, stored.store->chunks());
  EXPECT_EQ(source->span({0}), nullptr);
  EXPECT_NE(source->span({1}), nullptr);
}

TEST(SpansFrom, ServesManyThreads) {
  const Stored stored({filesystem_like(5, 3000)});
  const auto source = spans_from(stored.manifest, stored.store->chunks());
  std::vector<std::jthread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back([&] { expect_right(*stored.manifest, *source); });
}

std::shared_ptr<const chunker::SealedSpan> span_of(std::uint32_t index, std::size_t size) {
  auto span = std::make_shared<chunker::SealedSpan>();
  span->index = {index};
  span->bytes = Buffer(size);
  return span;
}

TEST(SpanCache, DropsTheOldestFirst) {
  SpanCache cache(10, Size{3500});
  for (std::uint32_t i = 0; i < 5; ++i) cache.put(span_of(i, 1000));
  EXPECT_EQ(cache.span({0}), nullptr);
  EXPECT_EQ(cache.span({1}), nullptr);
  for (std::uint32_t i = 2; i < 5; ++i) EXPECT_NE(cache.span({i}), nullptr) << i;
  EXPECT_LE(cache.held(), Size{3500});
  EXPECT_GE(cache.held(), Size{3000});
  EXPECT_EQ(cache.span({7}), nullptr);
  EXPECT_EQ(cache.span({10}), nullptr);
}

TEST(SpanCache, TakesASpanOnceAndOnlyItsOwn) {
  SpanCache cache(2, 1_MiB);
  const auto first = span_of(1, 100);
  cache.put(first);
  const Size held = cache.held();
  cache.put(span_of(1, 50'000));
  cache.put(span_of(2, 100));  // beyond the image
  EXPECT_EQ(cache.held(), held);
  EXPECT_EQ(cache.span({1}), first);
}

TEST(SpanCache, KeepsNothingAboveItsLimit) {
  SpanCache cache(4, Size{0});
  const auto span = span_of(0, 100);
  cache.put(span);
  EXPECT_EQ(cache.held(), Size{0});
  EXPECT_EQ(cache.span({0}), nullptr);
}

}  // namespace
}  // namespace stampede::cache

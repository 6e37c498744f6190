#include "cache/stats.h"

#include "tests/cache/gc_fixture.h"

namespace stampede::cache {
namespace {

using namespace stampede::testing;

StoreStats measured(Store& store) {
  const auto stats = store.stats({});
  EXPECT_DONE(stats);
  return stats ? *stats : StoreStats{};
}

TEST(Stats, OfAnEmptyStore) {
  Library library;
  const auto stats = measured(*library.open());
  EXPECT_TRUE(stats.images.empty());
  EXPECT_EQ(stats.packs, 0U);
  EXPECT_EQ(stats.ratio(), 0);
  EXPECT_GT(stats.catalog, 0_B);
}

TEST(Stats, TellWhatIsSharedAndWhatIsGarbage) {
  Library library;
  const auto store = library.open();
  library.add(*store, "a:1", 0);
  const StoreStats one = measured(*store);
  ASSERT_EQ(one.images.size(), 1U);
  EXPECT_EQ(one.images[0].shared, 0_B);
  EXPECT_EQ(one.images[0].own, one.live);
  EXPECT_EQ(one.garbage, 0_B);
  EXPECT_EQ(one.live_chunks, one.chunks);
  EXPECT_EQ(one.packs_size.bytes, library.bytes());
  EXPECT_LE(one.sealed, one.plain);

  const auto second = library.add(*store, "b:1", 1);
  library.add(*store, "b:same", 1);
  const StoreStats two = measured(*store);
  ASSERT_EQ(two.images.size(), 2U);
  EXPECT_EQ(two.tags, 3U);
  EXPECT_EQ(two.packs, 2U);
  Size own;
  for (const ImageUse& image : two.images) {
    EXPECT_GT(image.shared, 0_B);
    EXPECT_EQ(image.disk.bytes, 1000U * 4096);
    EXPECT_EQ(image.names.size(), image.image == second ? 2U : 1U);
    own += image.own;
  }
  EXPECT_EQ(two.images[0].shared, two.images[1].shared);
  EXPECT_EQ(own + two.images[0].shared, two.live);
  EXPECT_GT(two.ratio(), one.ratio());

  Library::untag(*store, "a:1");
  const StoreStats left = measured(*store);
  ASSERT_EQ(left.images.size(), 1U);
  EXPECT_EQ(left.images[0].shared, 0_B);
  EXPECT_EQ(left.live, left.images[0].own);
  EXPECT_GT(left.garbage, 0_B);
  const auto collected = Library::collect(*store, {.dry_run = true});
  EXPECT_EQ(left.live, collected.live);
  EXPECT_EQ(left.live_chunks, collected.live_chunks);
}

}  // namespace
}  // namespace stampede::cache

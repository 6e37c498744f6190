// The index against a plain map, and the views that are built from each other.
#include <map>

#include "cache/pack_view.h"
#include "cache/pack_writer.h"
#include "tests/cache/store_fixture.h"

namespace stampede::cache {
namespace {

using namespace stampede::testing;
using Slot = ChunkIndex::Slot;

chunker::ChunkId random_id(Random& random) {
  chunker::ChunkId id;
  random.fill(id.digest);
  return id;
}

std::vector<ChunkNumber> numbers(ChunkIndex::Run candidates) {
  std::vector<ChunkNumber> out;
  for (const Slot slot : candidates) out.push_back(slot.number());
  return out;
}

TEST(ChunkIndex, OfNothing) {
  EXPECT_TRUE(ChunkIndex().candidates(id_of(1)).empty());
  EXPECT_TRUE(ChunkIndex(std::span<const ChunkIndex::Run>()).candidates({}).empty());
  const std::vector<ChunkIndex::Run> runs(3);
  EXPECT_TRUE(ChunkIndex(runs).candidates(id_of(1)).empty());
}

TEST(ChunkIndex, PrefixesAreInTheOrderOfIds) {
  SeededRandom random(1);
  for (int i = 0; i < 1000; ++i) {
    const auto a = random_id(random), b = random_id(random);
    EXPECT_EQ(a < b, ChunkIndex::prefix_of(a) < ChunkIndex::prefix_of(b));
  }
}

// Ids of all sizes of sets, evenly spread or all of a few prefixes, in runs of all lengths.
TEST(ChunkIndex, FindsWhatAMapFinds) {
  SeededRandom random(2);
  for (int round = 0; round < 60; ++round) {
    SCOPED_TRACE(round);
    const bool crowded = round % 3 == 0;
    const auto prefix = [&] { return static_cast<std::uint32_t>(crowded ? random.below(5) << 30 : random.number()); };
    std::multimap<std::uint32_t, ChunkNumber> model;
    std::vector<std::vector<Slot>> lists(1 + random.below(9));
    ChunkNumber next = 0;
    for (auto& list : lists) {
      for (std::uint64_t i = random.below(round < 30 ? 20 : 5000); i > 0; --i) {
        list.emplace_back(prefix(), next);
        model.emplace(list.back().prefix(), next++);
      }
      std::ranges::sort(list);
    }
    const std::vector<ChunkIndex::Run> runs(lists.begin(), lists.end());
    const ChunkIndex index(runs);
    EXPECT_TRUE(std::ranges::is_sorted(index.slots()));
    EXPECT_EQ(index.slots().size(), model.size());
    const auto expect_same = [&](std::uint32_t asked) {
      chunker::ChunkId id = random_id(random);
      store_le(MutableBytes(id.digest), std::byteswap(asked));
      const auto [first, last] = model.equal_range(asked);
      std::vector<ChunkNumber> expected;
      for (auto it = first; it != last; ++it) expected.push_back(it->second);
      std::ranges::sort(expected);
      EXPECT_EQ(numbers(index.candidates(id)), expected) << asked;
    };
    for (const auto& [known, number] : model)
      if (random.below(1 + model.size() / 200) == 0) expect_same(known);
    for (int i = 0; i < 200; ++i) expect_same(prefix());
    for (const std::uint32_t edge : {0U, 1U, 0x7fffffffU, 0x80000000U, 0xffffffffU}) expect_same(edge);
  }
}

// Packs come and go; every view must know just the copies of its packs, under numbers that are their places.
TEST(PackView, FollowsItsPacks) {
  const Scratch scratch;
  SeededRandom random(3);
  const auto chunks = some_chunks(4, 60);
  std::map<std::shared_ptr<const Pack>, std::vector<std::size_t>> model;  // packs and the chunks in them
  PackView view;
  for (int round = 0; round < 40; ++round) {
    SCOPED_TRACE(round);
    PackView::Packs keep;
    for (auto it = model.begin(); it != model.end();) {
      if (random.below(4) != 0) {
        keep.push_back(it++->first);
      } else {
        it = model.erase(it);
      }
    }
    std::vector<PackView::Added> added;
    for (std::uint64_t i = random.below(4); i > 0; --i) {
      auto writer = PackWriter::create(scratch / "");
      ASSERT_DONE(writer);
      std::vector<std::size_t> inside;
      for (std::size_t at = random.below(10); at < chunks.size(); at += 1 + random.below(20)) {
        ASSERT_DONE((*writer)->append(chunks[at]));
        inside.push_back(at);
      }
      const auto opened = Pack::open(*(*writer)->publish());
      ASSERT_DONE(opened);
      added.push_back(PackView::added(*opened));
      model[opened->pack] = inside;
    }
    auto made = PackView::make(view, keep, std::move(added));
    ASSERT_DONE(made);
    view = *std::move(made);

    ASSERT_EQ(view.packs().size(), model.size());
    std::map<std::size_t, std::size_t> copies;
    for (const auto& [pack, inside] : model)
      for (const std::size_t at : inside) ++copies[at];
    for (std::size_t i = 0; i < chunks.size(); ++i) {
      std::size_t found = 0;
      view.each_copy(chunks[i].id, [&](const Result<Place>& place) {
        EXPECT_DONE(place);
        EXPECT_TRUE(model.contains(view.packs()[view.pack_of(place->number)]));
        EXPECT_EQ(view.packs()[view.pack_of(place->number)].get(), place->pack);
        EXPECT_EQ(*place->pack->entry(place->number - view.first_of(view.pack_of(place->number))), place->entry);
        const auto likely = view.find(chunks[i].id, place->pack);
        EXPECT_TRUE(likely && likely->pack == place->pack);
        ++found;
        return false;
      });
      EXPECT_EQ(found, copies[i]);
      EXPECT_EQ(view.find(chunks[i].id).has_value(), found > 0);
    }
  }
}

}  // namespace
}  // namespace stampede::cache

#include "src/base/range.h"

#include <gtest/gtest.h>

#include <bitset>

#include "src/base/seams.h"

namespace stampede {
namespace {

using Ranges = std::vector<Range>;

Range range(std::uint64_t from, std::uint64_t to) { return {{from}, {to - from}}; }

TEST(Range, WhatTouchesOrOverlapsBecomesOne) {
  EXPECT_EQ(merged({}), Ranges{});
  EXPECT_EQ(merged({range(5, 9), range(0, 2), range(2, 3), range(8, 12), range(20, 20)}),
            (Ranges{range(0, 3), range(5, 12)}));
  EXPECT_EQ(merged({range(0, 100), range(10, 20)}), (Ranges{range(0, 100)}));
}

TEST(Range, WhatIsLeftWithoutOthers) {
  const Ranges all{range(10, 20), range(30, 40)};
  EXPECT_EQ(without(all, {}), all);
  EXPECT_EQ(without(all, {range(0, 50)}), Ranges{});
  EXPECT_EQ(without(all, {range(0, 10), range(20, 30), range(40, 41)}), all);
  EXPECT_EQ(without(all, {range(5, 12), range(14, 15), range(18, 33)}),
            (Ranges{range(12, 14), range(15, 18), range(33, 40)}));
}

// Beside sets of single bytes.
TEST(Range, AnyRanges) {
  using Set = std::bitset<64>;
  const auto set_of = [](const Ranges& ranges) {
    Set set;
    for (const Range& one : ranges)
      for (std::uint64_t i = one.at.bytes; i < one.end().bytes; ++i) set.set(i);
    return set;
  };
  const auto is_apart = [](const Ranges& ranges) {
    for (std::size_t i = 0; i < ranges.size(); ++i)
      if (ranges[i].length == Size{} || (i > 0 && ranges[i].at < ranges[i - 1].end())) return false;
    return true;
  };
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    SeededRandom random(seed);
    const auto some = [&] {
      Ranges ranges;
      for (std::uint64_t count = random.below(8); ranges.size() < count;) {
        const std::uint64_t from = random.below(60);
        ranges.push_back(range(from, from + random.below(64 - from)));
      }
      return ranges;
    };
    const Ranges raw = some(), all = merged(raw), others = merged(some()), left = without(all, others);
    EXPECT_EQ(set_of(all), set_of(raw)) << "seed " << seed;
    EXPECT_EQ(set_of(left), set_of(all) & ~set_of(others)) << "seed " << seed;
    EXPECT_TRUE(is_apart(all) && is_apart(left)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace stampede

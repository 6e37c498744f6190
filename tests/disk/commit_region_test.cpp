#include "src/disk/commit_region.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "src/base/seams.h"

namespace stampede::disk {
namespace {

using Ranges = std::vector<Range>;

TEST(CommitRegion, HeadAndBothTails) {
  EXPECT_EQ(commit_ranges(10_GiB, 4_GiB),
            (Ranges{{{0}, 1_MiB}, {Offset{(4_GiB - 64_KiB).bytes}, 64_KiB}, {Offset{(10_GiB - 64_KiB).bytes}, 64_KiB}}));
}

TEST(CommitRegion, SameEndIsOneTail) {
  EXPECT_EQ(commit_ranges(4_GiB, 4_GiB), (Ranges{{{0}, 1_MiB}, {Offset{(4_GiB - 64_KiB).bytes}, 64_KiB}}));
}

TEST(CommitRegion, GrowsToBlocksButNotBeyondTheDisk) {
  EXPECT_EQ(commit_ranges(Size{(8_MiB).bytes + 1}, Size{(4_MiB).bytes + 100}),
            (Ranges{{{0}, 1_MiB},
                    {Offset{(4_MiB - 64_KiB).bytes}, Size{(68_KiB).bytes}},
                    {Offset{(8_MiB - 64_KiB).bytes}, Size{(64_KiB).bytes + 1}}}));
}

TEST(CommitRegion, SmallDisksAreOneRange) {
  EXPECT_EQ(commit_ranges({}, {}), Ranges{});
  for (const Size size : {1_B, 511_B, 4_KiB, 64_KiB, 1_MiB, Size{(1_MiB).bytes + 1}, Size{(1_MiB + 64_KiB).bytes}})
    EXPECT_EQ(commit_ranges(size, size), (Ranges{{{0}, size}})) << size.bytes;
}

TEST(CommitRegion, AnImageLargerThanTheDiskIsClipped) {
  EXPECT_EQ(commit_ranges(2_MiB, 4_MiB), (Ranges{{{0}, 1_MiB}, {Offset{(2_MiB - 64_KiB).bytes}, 64_KiB}}));
}

// Against a plain array of the whole disk, at random.
TEST(CommitRegion, ActsAsAnOverlay) {
  SeededRandom random(7);
  const Size disk = 3_MiB;
  const Size image = Size{(2_MiB).bytes + 12345};
  CommitRegion region(disk, image);
  Bytes model(disk.bytes);
  const auto inside = [&](std::uint64_t at) {
    for (const Range& range : region.ranges())
      if (at >= range.at.bytes && at < range.end().bytes) return true;
    return false;
  };
  for (int i = 0; i < 200; ++i) {
    const std::uint64_t at = random.below(disk.bytes);
    const std::uint64_t size = random.below(std::min<std::uint64_t>(disk.bytes - at, 200'000) + 1);
    const Range range{{at}, {size}};
    if (random.below(3) == 0) {
      region.zero(range);
      std::fill_n(model.begin() + static_cast<long>(at), size, std::byte{0});
    } else {
      Bytes bytes(size);
      random.fill(bytes);
      region.write({at}, bytes);
      std::ranges::copy(bytes, model.begin() + static_cast<long>(at));
    }
    std::uint64_t next = at;
    for (const auto& part : region.split(range)) {
      ASSERT_EQ(part.range.at.bytes, next);
      ASSERT_GT(part.range.length.bytes, 0U);
      ASSERT_EQ(inside(part.range.at.bytes), part.inside);
      ASSERT_EQ(inside(part.range.end().bytes - 1), part.inside);
      next = part.range.end().bytes;
    }
    ASSERT_EQ(next, at + size);
  }
  Bytes read(disk.bytes, std::byte{0x5a});
  region.read({}, read);
  for (std::uint64_t at = 0; at < disk.bytes; ++at) ASSERT_EQ(read[at], inside(at) ? model[at] : std::byte{0x5a}) << at;
  for (const Patch& patch : region.slice({100}, {disk.bytes - 100}))
    ASSERT_TRUE(std::ranges::equal(patch.bytes, ByteView(model).subspan(patch.at.bytes, patch.bytes.size())));
}

}  // namespace
}  // namespace stampede::disk

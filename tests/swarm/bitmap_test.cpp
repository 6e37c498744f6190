#include "transport/swarm/bitmap.h"

#include <gtest/gtest.h>

#include <set>

#include "src/base/seams.h"
#include "transport/swarm/scan.h"

namespace stampede::swarm {
namespace {

TEST(Bitmap, CountsWhatIsSet) {
  Bitmap bits(130);
  EXPECT_TRUE(bits.set(0));
  EXPECT_TRUE(bits.set(129));
  EXPECT_FALSE(bits.set(129));
  EXPECT_EQ(bits.count(), 2U);
  EXPECT_TRUE(bits.test(129));
  EXPECT_FALSE(bits.test(128));
  EXPECT_TRUE(bits.clear(0));
  EXPECT_FALSE(bits.clear(0));
  EXPECT_EQ(bits.count(), 1U);
  EXPECT_EQ(bits.word(2), 2U);
}

TEST(Bitmap, FullAndEmpty) {
  EXPECT_TRUE(Bitmap().full());
  EXPECT_TRUE(Bitmap().bytes().empty());
  Bitmap bits(9);
  for (std::uint32_t i = 0; i < 9; ++i) {
    EXPECT_FALSE(bits.full());
    bits.set(i);
  }
  EXPECT_TRUE(bits.full());
}

TEST(Bitmap, ComesFromTheWireAsItWent) {
  SeededRandom random(1);
  for (std::uint32_t size = 0; size < 200; ++size) {
    Bitmap bits(size);
    for (std::uint32_t i = 0; i < size; ++i) {
      if (random.below(2) == 0) bits.set(i);
    }
    ASSERT_EQ(bits.bytes().size(), (size + 7) / 8);
    const auto back = Bitmap::from_bytes(size, bits.bytes());
    ASSERT_TRUE(back);
    ASSERT_EQ(back->count(), bits.count());
    ASSERT_EQ(copy(back->bytes()), copy(bits.bytes()));
  }
}

TEST(Bitmap, RefusesAWrongLengthAndBitsPastTheEnd) {
  EXPECT_TRUE(Bitmap::from_bytes(9, *from_hex("ff01")));
  EXPECT_FALSE(Bitmap::from_bytes(9, *from_hex("ff02")));
  EXPECT_FALSE(Bitmap::from_bytes(9, *from_hex("ff")));
  EXPECT_FALSE(Bitmap::from_bytes(8, *from_hex("ff00")));
  EXPECT_FALSE(Bitmap::from_bytes(0, *from_hex("00")));
}

TEST(Scan, VisitsEverythingOnceFromTheStartRound) {
  SeededRandom random(2);
  for (const std::uint32_t size : {1U, 63U, 64U, 65U, 4095U, 4096U, 4097U, 20000U}) {
    for (int round = 0; round < 20; ++round) {
      Bitmap bits(size);
      BlockCounts counts(size);
      std::set<std::uint32_t> wanted;
      for (std::uint64_t n = random.below(40); n > 0; --n) {
        const auto i = static_cast<std::uint32_t>(random.below(size));
        if (bits.set(i)) counts.add(i), wanted.insert(i);
      }
      const auto start = static_cast<std::uint32_t>(random.below(size));
      std::vector<std::uint32_t> got;
      scan_around(
          counts, bits.words(), start, [&](std::uint32_t i) { return bits.word(i); },
          [&](std::uint32_t i) {
            got.push_back(i);
            return true;
          });
      std::vector<std::uint32_t> expected(wanted.lower_bound(start), wanted.end());
      expected.insert(expected.end(), wanted.begin(), wanted.lower_bound(start));
      ASSERT_EQ(got, expected) << "size " << size << " start " << start;
    }
  }
}

}  // namespace
}  // namespace stampede::swarm

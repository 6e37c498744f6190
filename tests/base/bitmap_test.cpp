#include "src/base/bitmap.h"

#include <gtest/gtest.h>

#include "src/base/seams.h"

namespace stampede {
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

}  // namespace
}  // namespace stampede

#include "src/base/bytes.h"

#include <gtest/gtest.h>

#include "src/base/seams.h"

namespace stampede {
namespace {

TEST(Bytes, HexAndBase64RoundTrip) {
  SeededRandom random(1);
  for (std::size_t size = 0; size < 70; ++size) {
    Bytes bytes(size);
    random.fill(bytes);
    EXPECT_EQ(from_hex(to_hex(bytes)), bytes);
    EXPECT_EQ(from_base64url(to_base64url(bytes)), bytes);
  }
}

TEST(Bytes, RefusesWhatIsNotCanonical) {
  EXPECT_FALSE(from_hex("abc"));
  EXPECT_FALSE(from_hex("AB"));
  EXPECT_FALSE(from_base64url("A"));
  EXPECT_FALSE(from_base64url("AB"));  // left-over bits set
  EXPECT_FALSE(from_base64url("A+=="));
}

TEST(Bytes, AllZero) {
  Bytes bytes(4096);
  EXPECT_TRUE(all_zero(bytes));
  EXPECT_TRUE(all_zero({}));
  for (const std::size_t at : {0UL, 1UL, 2048UL, 4095UL}) {
    bytes[at] = std::byte{1};
    EXPECT_FALSE(all_zero(bytes));
    bytes[at] = std::byte{0};
  }
}

TEST(ByteReader, StopsAtTheEnd) {
  ByteWriter writer;
  writer.u16(7).text("hello").u64(~0ULL);
  const Bytes bytes = writer.take();
  ByteReader reader(bytes);
  EXPECT_EQ(reader.u16(), 7);
  EXPECT_EQ(reader.text(5), "hello");
  EXPECT_EQ(reader.u64(), ~0ULL);
  EXPECT_TRUE(reader.ok_and_empty());
  EXPECT_EQ(reader.u8(), 0);
  EXPECT_FALSE(reader.ok());
}

TEST(ByteReader, RefusesLengthsAboveTheLimit) {
  ByteWriter writer;
  writer.text("hello");
  const Bytes bytes = writer.take();
  ByteReader reader(bytes);
  EXPECT_TRUE(reader.sized(4).empty());
  EXPECT_FALSE(reader.ok());
}

TEST(Bytes, HumanSize) {
  EXPECT_EQ(human_size(0), "0 B");
  EXPECT_EQ(human_size(1536), "1.50 KiB");
  EXPECT_EQ(human_size(4ULL << 30), "4.00 GiB");
}

TEST(Time, Rfc3339) { EXPECT_EQ(to_rfc3339(1793628189), "2026-11-02T14:03:09Z"); }

}  // namespace
}  // namespace stampede

#include "src/disk/in_progress.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "chunker/digest.h"

namespace stampede::disk {
namespace {

InProgress sample() {
  InProgress record;
  record.image.digest.fill(std::byte{0xab});
  for (std::size_t i = 0; i < 16; ++i) record.deployment[i] = static_cast<std::byte>(i);
  record.started = 1'700'000'000;
  record.disk_size = 20_GiB;
  return record;
}

// The format, byte by byte, written down apart from the encoder.
Bytes golden_fields(std::string_view magic) {
  ByteWriter out;
  out.raw(as_bytes(magic)).raw(as_bytes(std::string_view("\x01\0\0\0\0\0\0\0", 8)));
  out.raw(Bytes(32, std::byte{0xab}));
  for (std::uint8_t i = 0; i < 16; ++i) out.u8(i);
  out.raw(*from_hex("00f1536500000000"));
  out.raw(*from_hex("0000000005000000"));
  return out.take();
}

TEST(InProgress, RecordIsTheDocumentedBytes) {
  Bytes golden = golden_fields("STMPPROG");
  ASSERT_EQ(golden.size(), 80U);
  golden.resize(4064);
  const auto digest = chunker::sha256(golden);
  golden.insert(golden.end(), digest.begin(), digest.end());
  EXPECT_EQ(to_hex(encode(sample())), to_hex(golden));
  // Pins the hash too: a change of the format must be a new version.
  EXPECT_EQ(to_hex(ByteView(golden).subspan(4064)), "83de5eb1ba1b9e38b47de0f7ebd5e7c151d771deb4de0ad5f638c47997bdce91");
  EXPECT_EQ(decode_in_progress(golden), sample());
}

TEST(InProgress, MarkIsTheDocumentedBytes) {
  Bytes golden = golden_fields("STMPMARK");
  const auto digest = chunker::sha256(golden);
  golden.insert(golden.end(), digest.begin(), digest.end());
  golden.resize(512);
  EXPECT_EQ(to_hex(encode_mark(sample())), to_hex(golden));
  EXPECT_EQ(to_hex(ByteView(golden).subspan(80, 32)), "9129078242ae3f345da7ec12dff5e176f1e74dbfa6a6a0db184f8f5c3a604b48");
  EXPECT_EQ(decode_mark(golden), sample());
}

TEST(InProgress, AnyFlippedBitIsRefused) {
  const Bytes record = encode(sample());
  for (std::size_t i = 0; i < record.size(); ++i) {
    Bytes damaged = record;
    damaged[i] ^= static_cast<std::byte>(1U << i % 8);
    EXPECT_FALSE(decode_in_progress(damaged)) << i;
  }
  const Bytes mark = encode_mark(sample());
  for (std::size_t i = 0; i < mark.size(); ++i) {
    Bytes damaged = mark;
    damaged[i] ^= static_cast<std::byte>(1U << i % 8);
    EXPECT_FALSE(decode_mark(damaged)) << i;
  }
}

TEST(InProgress, ShortOrEmptyIsRefused) {
  const Bytes record = encode(sample());
  for (const std::size_t size : {0UL, 1UL, 8UL, 80UL, 4095UL})
    EXPECT_FALSE(decode_in_progress(ByteView(record).first(size)));
  EXPECT_FALSE(decode_in_progress(Bytes(4096)));
  EXPECT_FALSE(decode_mark({}));
}

TEST(InProgress, FoundOnlyBehindABlankStart) {
  Bytes head(8192);
  EXPECT_FALSE(find_in_progress(head));
  std::ranges::copy(encode(sample()), head.begin() + 4096);
  EXPECT_EQ(find_in_progress(head), sample());
  EXPECT_FALSE(find_in_progress(ByteView(head).first(8191)));
  for (const std::size_t at : {0UL, 510UL, 512UL, 4095UL}) {
    Bytes used = head;
    used[at] = std::byte{1};
    EXPECT_FALSE(find_in_progress(used)) << at;
  }
}

TEST(InProgress, FoundByItsMarkWhateverComesAfter) {
  Bytes head(8192, std::byte{0x77});
  std::ranges::copy(encode_mark(sample()), head.begin());
  EXPECT_EQ(find_in_progress(head), sample());
}

}  // namespace
}  // namespace stampede::disk

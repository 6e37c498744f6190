#include "src/volume/gpt_header.h"

#include <gtest/gtest.h>

namespace stampede::volume {
namespace {

// Every number another one, at the places that UEFI 2.10 §5.3.2 names.
Bytes sample() {
  ByteWriter out;
  out.raw(as_bytes("EFI PART")).u32(0x10000).u32(92).u32(7).u32(0);
  out.u64(11).u64(12).u64(13).u64(14).raw(Bytes(16, std::byte{0xab})).u64(15).u32(16).u32(128).u32(9);
  return out.take();
}

TEST(GptHeader, IsTheDocumentedBytes) {
  const Bytes bytes = sample();
  ASSERT_EQ(bytes.size(), kGptHeaderSize);
  const auto header = decode_gpt_header(bytes);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->own, 11U);
  EXPECT_EQ(header->other, 12U);
  EXPECT_EQ(header->last_usable, 14U);
  EXPECT_EQ(header->entries, 15U);
  EXPECT_EQ(header->entries_size, 16U * 128);
  EXPECT_EQ(header->disk_guid[15], std::byte{0xab});
}

TEST(GptHeader, WhatIsNoneIsNone) {
  Bytes bytes = sample();
  for (std::size_t size = 0; size < 88; ++size) EXPECT_FALSE(decode_gpt_header(ByteView(bytes).first(size))) << size;
  bytes[7] = std::byte{'t'};
  EXPECT_FALSE(decode_gpt_header(bytes));
}

TEST(GptHeader, TheLargestClaimIsNotCut) {
  Bytes bytes = sample();
  std::fill(bytes.begin() + 80, bytes.begin() + 88, std::byte{0xff});
  EXPECT_EQ(decode_gpt_header(bytes)->entries_size, 0xffffffffULL * 0xffffffffULL);
}

}  // namespace
}  // namespace stampede::volume

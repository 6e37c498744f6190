// The bytes of version 1: a change here is a change of the protocol.
#include <gtest/gtest.h>

#include <algorithm>

#include "transport/wire/messages.h"

namespace stampede::wire {
namespace {

template <std::size_t N>
std::array<std::byte, N> filled(unsigned value) {
  std::array<std::byte, N> out;
  out.fill(static_cast<std::byte>(value));
  return out;
}
Bytes bytes(std::string_view hex) { return *from_hex(hex); }
std::string times(std::string_view hex, int n) {
  std::string out;
  while (n-- > 0) out += hex;
  return out;
}

struct Golden {
  Message message;
  std::string header;
  std::string payload;
};

std::vector<Golden> golden() {
  const auto d11 = filled<32>(0x11);
  const std::string h11 = times("11", 32), h22 = times("22", 64);
  const auto s22 = filled<64>(0x22);
  return {
      {Hello{1, 2, 0x0102030405060708, "stampede 0.1"}, "2000000001000000",
       "53544d50"
       "0100"
       "0200"
       "0807060504030201"
       "0c000000"
       "7374616d7065646520302e31"},
      {ErrorMessage{40, "no"}, "0700000002000000",
       "28"
       "02000000"
       "6e6f"},
      {Enrol{d11, bytes("3082")}, "2600000003000000",
       h11 + "02000000"
             "3082"},
      {Enrolled{bytes("30"), bytes("3183")}, "0b00000004000000",
       "01000000"
       "30"
       "02000000"
       "3183"},
      {Resolve{"web", "v1"}, "0d00000005000000",
       "03000000"
       "776562"
       "02000000"
       "7631"},
      {TagRecordMessage{bytes("7b7d"), d11, s22}, "6600000006000000",
       "02000000"
       "7b7d" +
           h11 + h22},
      {Fetch{{d11, d11}}, "4400000007000000", "02000000" + h11 + h11},
      {Object{d11, 1, 0x00010203, bytes("aabb")}, "2b00000008000000",
       h11 + "01"
             "03020100"
             "02000000"
             "aabb"},
      {Join{d11, 0x1234, 9, bytes("ff01")}, "2c00000009000000",
       h11 + "3412"
             "09000000"
             "02000000"
             "ff01"},
      {Members{{{d11, "::1", 7}}, 5}, "310000000a000000",
       "01000000" + h11 +
           "03000000"
           "3a3a31"
           "0700"
           "05000000"},
      {Have{{1, 0xFFFFFF}}, "0c0000000b000000",
       "02000000"
       "01000000"
       "ffffff00"},
      {WantAny{8}, "020000000c000000", "0800"},
      {NoneLeft{0x0102}, "020000000d000000", "0201"},
      {Request{0x010203}, "040000000e000000", "03020100"},
      {SpanData{2, {{0, 1}, {1, 2}}, Buffer(ByteView(bytes("aabbcc")))}, "190000000f000000",
       "02000000"
       "02000000"
       "00"
       "01000000"
       "01"
       "02000000"
       "03000000"
       "aabbcc"},
      {NotHeld{5}, "0400000010000000", "05000000"},
      {Progress{3, true, 10, 9, 8}, "1a00000011000000",
       "03"
       "01"
       "0a00000000000000"
       "0900000000000000"
       "0800000000000000"},
      {BadPeer{d11, 6}, "2400000012000000", h11 + "06000000"},
      {Receipt{bytes("7b7d"), s22}, "4600000013000000",
       "02000000"
       "7b7d" +
           h22},
      {ReceiptStored{7}, "0800000014000000", "0700000000000000"},
      {Ping{0xFF}, "0800000015000000", "ff00000000000000"},
      {Pong{0xFE}, "0800000016000000", "fe00000000000000"},
      {MulticastOffer{"239.1.1.1", 7441, 5, filled<16>(0x33), filled<4>(0x44), 1424}, "2900000017000000",
       "09000000"
       "3233392e312e312e31"
       "111d"
       "05000000" +
           times("33", 16) + times("44", 4) + "9005"},
      {MulticastReport{9, 8, 7, {{1, 2}}, {{3, 4, 5}}}, "2200000018000000",
       "0900000000000000"
       "0800"
       "0700"
       "01000000"
       "0100000002000000"
       "01000000"
       "030000000405"},
      {MulticastNews{65535, 1000, 2000, {6}, StreamEnd::over}, "1b00000019000000",
       "ffff"
       "e803000000000000"
       "d007000000000000"
       "01000000"
       "06000000"
       "01"},
      {Partial{{{7, 2, 1}, {7, 4, 3}}}, "140000001a000000",
       "02000000"
       "07000000"
       "0200"
       "0100"
       "07000000"
       "0400"
       "0300"},
      {FindReceipt{"g", "s", "", "/d", 9}, "1c0000001b000000",
       "01000000"
       "67"
       "01000000"
       "73"
       "00000000"
       "02000000"
       "2f64"
       "0900000000000000"},
      {RescueFile{filled<16>(0x33), bytes("aabb")}, "160000001c000000",
       times("33", 16) + "02000000"
                         "aabb"},
      {RescueStored{9}, "080000001d000000", "0900000000000000"},
      {PushStart{"web", "v1", d11, true, false}, "2f0000001e000000",
       "03000000"
       "776562"
       "02000000"
       "7631" +
           h11 + "0100"},
      {PushReady{7}, "040000001f000000", "07000000"},
      {PushOffer{{d11}}, "2400000020000000", "01000000" + h11},
      {PushLacks{3, bytes("05")}, "0900000021000000",
       "03000000"
       "01000000"
       "05"},
      {PushChunks{{{d11, 1, 4096, 2}}, Buffer(ByteView(bytes("aabb")))}, "3300000022000000",
       "01000000" + h11 +
           "01"
           "00100000"
           "02000000"
           "02000000"
           "aabb"},
      {PushKept{5}, "0400000023000000", "05000000"},
      {PushEnd{bytes("7b7d"), d11, s22}, "6600000024000000",
       "02000000"
       "7b7d" +
           h11 + h22},
  };
}

TEST(Golden, EveryMessageHasItsBytes) {
  const auto all = golden();
  ASSERT_EQ(all.size(), std::variant_size_v<Message>);
  for (std::size_t i = 0; i < all.size(); ++i) {
    ASSERT_EQ(all[i].message.index(), i) << "one of each type, in order";
    EXPECT_EQ(to_hex(encode(all[i].message)), all[i].header + all[i].payload);
    const auto header = decode_header(bytes(all[i].header));
    ASSERT_TRUE(header) << header.error().message;
    const auto message = decode(*header, Buffer(ByteView(bytes(all[i].payload))));
    ASSERT_TRUE(message) << message.error().message;
    EXPECT_TRUE(*message == all[i].message) << "type " << i + 1;
  }
}

}  // namespace
}  // namespace stampede::wire

#include "transport/multicast/packet.h"

#include <gtest/gtest.h>

#include <set>

#include "src/base/seams.h"

namespace stampede::multicast {
namespace {

TEST(Layout, PutsEverySymbolIntoOneGeneration) {
  for (std::uint32_t n = 1; n <= 800; ++n) {
    const Layout layout(std::size_t{n} * 512 - n % 512, 512);
    ASSERT_EQ(layout.symbols(), n);
    std::set<std::size_t> offsets;
    for (std::uint32_t g = 0; g < layout.generations(); ++g) {
      ASSERT_LE(layout.k(g), kMaxData);
      ASSERT_GE(layout.k(g) + 1, layout.k(0));
      for (std::uint32_t i = 0; i < layout.k(g); ++i) offsets.insert(layout.offset(g, i));
    }
    ASSERT_EQ(offsets.size(), n);
    ASSERT_EQ(*offsets.rbegin(), std::size_t{n - 1} * 512);
  }
}

TEST(Layout, TheGreatestFrameFitsTheHeader) {
  EXPECT_LE(Layout(kMaxFrame, kMinSymbolSize).generations(), 255U);
  EXPECT_EQ(Layout(kMaxFrame, kSymbolSize).generations(), 12U);
}

constexpr Shape kShape{1000, 512};

Bytes packet(const Header& header) {
  Bytes out(kPacketHeader + 512);
  encode(header, out);
  return out;
}

// Frame of 65 symbols: two generations, of 33 and 32.
constexpr Header kGood{0x0102, 1, 2, 32, 200, 65 * 512 - 100};

// The bytes of version 1: a change here is a change of the protocol.
TEST(Packet, Golden) {
  const Bytes bytes = packet(kGood);
  EXPECT_EQ(to_hex(ByteView(bytes).first(kPacketHeader)),
            "02010000"
            "01"
            "02"
            "20"
            "c8"
            "9c810000");
}

TEST(Packet, ComesBackAsItWent) {
  Bytes bytes = packet(kGood);
  bytes.back() = std::byte{7};
  const auto back = decode(bytes, kShape);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_TRUE(back->header == kGood);
  EXPECT_TRUE(back->header.is_parity());
  EXPECT_EQ(back->symbol.size(), 512U);
  EXPECT_EQ(back->symbol.back(), std::byte{7});
}

TEST(Packet, RefusesWhatContradictsItself) {
  const auto refused = [](auto change) {
    Header header = kGood;
    change(header);
    return !decode(packet(header), kShape);
  };
  EXPECT_FALSE(refused([](Header&) {}));
  EXPECT_TRUE(refused([](Header& h) { h.span = 1000; }));
  EXPECT_TRUE(refused([](Header& h) { h.generation = 2; }));
  EXPECT_TRUE(refused([](Header& h) { h.generations = 3; }));
  EXPECT_TRUE(refused([](Header& h) { h.k = 33; }));
  EXPECT_TRUE(refused([](Header& h) { h.generation = 0; }));
  EXPECT_TRUE(refused([](Header& h) { h.index = 255; }));
  EXPECT_TRUE(refused([](Header& h) { h.frame_size = 0; }));
  EXPECT_TRUE(refused([](Header& h) { h.frame_size = kMaxFrame + 1; }));
  EXPECT_TRUE(refused([](Header& h) { h.frame_size = ~0U; }));
  Bytes bytes = packet(kGood);
  bytes.pop_back();
  EXPECT_FALSE(decode(bytes, kShape));
  EXPECT_FALSE(decode({}, kShape));
}

Bytes bytes(std::string_view hex) { return *from_hex(hex); }

TEST(Frame, Golden) {
  const std::vector<wire::SpanPart> parts{{0, 1}, {1, 2}};
  EXPECT_EQ(to_hex(encode_frame(parts, bytes("aabbcc"))),
            "0200"
            "0001000000"
            "0102000000"
            "aabbcc");
  EXPECT_EQ(to_hex(encode_frame({}, {})), "0000");
}

TEST(Frame, ComesBackAsItWent) {
  const std::vector<wire::SpanPart> parts{{1, 3}, {0, 0}, {1, 2}};
  const auto frame = decode_frame(Buffer(ByteView(encode_frame(parts, bytes("0102030405")))));
  ASSERT_TRUE(frame) << frame.error().message;
  EXPECT_TRUE(frame->parts == parts);
  EXPECT_EQ(to_hex(frame->bytes), "0102030405");
}

TEST(Frame, RefusesWhatDoesNotAddUp) {
  for (const auto* hex :
       {"", "00", "000000", "010000", "0100000200000001", "01000001000000", "0100000100000001ff", "ffff0000000000",
        "02000001000000"
        "00ffffffff"
        "aa"})
    EXPECT_FALSE(decode_frame(Buffer(ByteView(bytes(hex))))) << hex;
  EXPECT_THROW(encode_frame(std::vector<wire::SpanPart>{{0, 2}}, bytes("aa")), std::invalid_argument);
  EXPECT_THROW(encode_frame({}, bytes("aa")), std::invalid_argument);
}

}  // namespace
}  // namespace stampede::multicast

#include "transport/net/packet_seal.h"

#include <gtest/gtest.h>

#include "src/base/seams.h"

namespace stampede::net {
namespace {

PacketKey key(std::uint8_t fill = 7) {
  PacketKey key;
  key.stream = 0x01020304;
  key.key.fill(std::byte{fill});
  key.salt.fill(std::byte{9});
  return key;
}

Bytes sealed(std::uint64_t sequence, std::string_view text) {
  Bytes datagram(kSealOverhead + text.size());
  std::ranges::copy(as_bytes(text), datagram.begin() + kSealHeader);
  PacketSealer(key()).seal(sequence, datagram);
  return datagram;
}

TEST(PacketSeal, OpensWhatWasSealed) {
  Bytes datagram = sealed(77, "a packet");
  const auto opened = PacketOpener(key()).open(datagram);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->sequence, 77U);
  EXPECT_EQ(as_text(opened->packet), "a packet");
}

// Computed with another implementation of AES-GCM (Python's cryptography): AESGCM(key).encrypt(nonce, text, header).
TEST(PacketSeal, IsThisForm) {
  EXPECT_EQ(to_hex(sealed(5, "span")), "53544d4304030201050000000000000072e235eed16bcc81c895a3a0945939a4ed13b566");
}

TEST(PacketSeal, OneAlteredBitAnywhereIsNoticed) {
  const Bytes good = sealed(5, "a packet");
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes bad = good;
    bad[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    EXPECT_FALSE(PacketOpener(key()).open(bad)) << bit;
  }
}

TEST(PacketSeal, OtherKeysStreamsAndLengthsDoNotOpen) {
  Bytes datagram = sealed(5, "a packet");
  EXPECT_FALSE(PacketOpener(key(8)).open(datagram));
  PacketKey other = key();
  ++other.stream;
  datagram = sealed(5, "a packet");
  EXPECT_FALSE(PacketOpener(other).open(datagram));
  for (std::size_t size = 0; size < datagram.size(); ++size) {
    Bytes cut(datagram.begin(), datagram.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(PacketOpener(key()).open(cut)) << size;
  }
}

TEST(PacketSeal, RandomDatagramsDoNotOpen) {
  SeededRandom random(1);
  PacketOpener opener(key());
  for (int i = 0; i < 20000; ++i) {
    Bytes datagram(random.below(100));
    random.fill(datagram);
    if (datagram.size() >= 8) std::ranges::copy(ByteView(sealed(1, "")).first(8), datagram.begin());
    EXPECT_FALSE(opener.open(datagram));
  }
}

}  // namespace
}  // namespace stampede::net

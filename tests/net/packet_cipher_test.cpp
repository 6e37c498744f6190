#include "transport/net/packet_cipher.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "src/base/seams.h"

namespace stampede::net {
namespace {

Bytes hex(std::string_view text) { return *from_hex(text); }

template <std::size_t N>
std::array<std::byte, N> array_of(std::string_view text) {
  std::array<std::byte, N> out{};
  std::ranges::copy(hex(text), out.begin());
  return out;
}

class PacketCipherTest : public testing::TestWithParam<bool> {
 protected:
  static std::unique_ptr<PacketCipher> cipher(const AesKey& key) {
    return GetParam() ? ipsec_mb_packet_cipher(key) : openssl_packet_cipher(key);
  }
  void SetUp() override {
#if defined(__x86_64__)
    ASSERT_TRUE(cipher({}));
#else
    if (!cipher({})) GTEST_SKIP() << "Debian has ipsec-mb for amd64 alone";
#endif
  }
};

INSTANTIATE_TEST_SUITE_P(Libraries, PacketCipherTest, testing::Bool(),
                         [](const auto& with) { return with.param ? "IpsecMb" : "Openssl"; });

// McGrew and Viega, "The Galois/Counter Mode of Operation", test case 4.
TEST_P(PacketCipherTest, SealsAsPublished) {
  auto gcm = cipher(array_of<16>("feffe9928665731c6d6a8f9467308308"));
  const auto nonce = array_of<12>("cafebabefacedbaddecaf888");
  const Bytes header = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  const Bytes plain = hex(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637"
      "b39");
  Bytes packet = plain;
  std::array<std::byte, 16> tag{};
  gcm->seal(nonce, header, packet, tag);
  EXPECT_EQ(
      to_hex(packet),
      "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973"
      "d58e091");
  EXPECT_EQ(to_hex(tag), "5bc94fbc3221a5db94fae95ae7121a47");
  EXPECT_TRUE(gcm->open(nonce, header, packet, tag));
  EXPECT_EQ(packet, plain);
}

// Every length that differs in how a vectorised implementation ends, and those around a datagram's.
TEST_P(PacketCipherTest, TheOtherLibraryOpensWhatItSealed) {
  SeededRandom random(7);
  for (std::size_t size = 0; size < 9000; size += size < 600 ? 1 : 127) {
    AesKey key;
    GcmNonce nonce;
    Bytes header(16);
    Bytes plain(size);
    random.fill(key);
    random.fill(nonce);
    random.fill(header);
    random.fill(plain);
    Bytes packet = plain;
    std::array<std::byte, 16> tag{};
    cipher(key)->seal(nonce, header, packet, tag);
    const auto other = GetParam() ? openssl_packet_cipher(key) : packet_cipher(key);
    ASSERT_TRUE(other->open(nonce, header, packet, tag)) << size;
    ASSERT_EQ(packet, plain) << size;
    tag[size % 16] ^= std::byte{1};
    ASSERT_FALSE(other->open(nonce, header, packet, tag)) << size;
  }
}

}  // namespace
}  // namespace stampede::net

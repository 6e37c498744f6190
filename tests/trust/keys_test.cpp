#include "src/trust/keys.h"

#include <gtest/gtest.h>

#include "src/trust/openssl_impl.h"

namespace stampede::trust {
namespace {

template <class T>
T from_hex_to(std::string_view hex) {
  T out{};
  const auto bytes = from_hex(hex).value();
  EXPECT_EQ(bytes.size(), out.size());
  std::memcpy(out.data(), bytes.data(), out.size());
  return out;
}

TEST(Keys, SignsAndVerifies) {
  const PrivateKey key = PrivateKey::generate();
  const Signature signature = key.sign(kTagRecordDomain, as_bytes("record"));
  EXPECT_TRUE(verify(key.public_key(), kTagRecordDomain, as_bytes("record"), signature));
  EXPECT_NE(PrivateKey::generate().public_key(), key.public_key());
}

TEST(Keys, OneKindOfSignatureNeverPassesForAnother) {
  const PrivateKey key = PrivateKey::generate();
  const Signature signature = key.sign(kTagRecordDomain, as_bytes("record"));
  const auto checked = verify(key.public_key(), kReceiptDomain, as_bytes("record"), signature);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, Code::signature_invalid);
  EXPECT_FALSE(verify(key.public_key(), "", as_bytes("record"), signature));
}

TEST(Keys, AnyFlippedBitIsNoticed) {
  const PrivateKey key = PrivateKey::generate();
  Bytes message = copy(as_bytes("a short record"));
  const Signature good = key.sign(kReceiptDomain, message);
  const auto flip = [](MutableBytes bytes, std::size_t bit) { bytes[bit / 8] ^= std::byte(1U << bit % 8); };
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    Signature altered = good;
    flip(altered, bit);
    EXPECT_FALSE(verify(key.public_key(), kReceiptDomain, message, altered)) << bit;
  }
  for (std::size_t bit = 0; bit < message.size() * 8; ++bit) {
    flip(message, bit);
    EXPECT_FALSE(verify(key.public_key(), kReceiptDomain, message, good)) << bit;
    flip(message, bit);
  }
  for (std::size_t bit = 0; bit < 256; ++bit) {
    PublicKey other = key.public_key();
    flip(other, bit);
    EXPECT_FALSE(verify(other, kReceiptDomain, message, good)) << bit;
  }
  EXPECT_TRUE(verify(key.public_key(), kReceiptDomain, message, good));
}

// RFC 8032, section 7.1, tests 1 and 3.
TEST(Keys, Rfc8032) {
  const auto key1 = from_hex_to<PublicKey>("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
  const auto signature1 = from_hex_to<Signature>(
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe2465514"
      "1438e"
      "7a100b");
  EXPECT_TRUE(verify(key1, "", {}, signature1));
  const auto key3 = from_hex_to<PublicKey>("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025");
  const auto signature3 = from_hex_to<Signature>(
      "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027b"
      "eceea"
      "1ec40a");
  EXPECT_TRUE(verify(key3, "", *from_hex("af82"), signature3));
  EXPECT_TRUE(verify(key3, "\xaf", *from_hex("82"), signature3)) << "the domain is signed in front of the bytes";
  EXPECT_FALSE(verify(key3, "", *from_hex("af83"), signature3));
}

// Under a key of small order a signature of zeros with the right R holds for many messages: such keys prove nothing.
TEST(Keys, KeysThatProveNothingAreRefused) {
  PublicKey key{};
  Signature signature{};
  signature[0] = std::byte{1};  // R = the neutral point, S = 0
  for (int i = 0; i < 16; ++i) EXPECT_FALSE(verify(key, "", as_bytes(std::to_string(i)), signature));
  EXPECT_TRUE(small_order(key));
  key[31] = std::byte{0x80};
  EXPECT_TRUE(small_order(key));
  key[31] = std::byte{0};
  key[0] = std::byte{1};
  EXPECT_TRUE(small_order(key));
  EXPECT_FALSE(verify(key, "", as_bytes("anything"), signature)) << "the neutral point signs everything";
  key[0] = std::byte{2};
  EXPECT_FALSE(small_order(key));
}

TEST(Keys, TextRoundTrip) {
  const PublicKey key = PrivateKey::generate().public_key();
  const std::string text = to_string(key);
  EXPECT_EQ(text.size(), 64U);
  EXPECT_EQ(parse_public_key(text), key);
  EXPECT_EQ(short_name(key), text.substr(0, 16));
}

TEST(Keys, TextThatIsNoKeyIsRefused) {
  const std::string text = to_string(PrivateKey::generate().public_key());
  EXPECT_FALSE(parse_public_key(""));
  EXPECT_FALSE(parse_public_key(text.substr(1)));
  EXPECT_FALSE(parse_public_key(text + "00"));
  EXPECT_FALSE(parse_public_key(" " + text.substr(1)));
  EXPECT_FALSE(parse_public_key(text.substr(0, 63) + "g"));
  EXPECT_FALSE(parse_public_key(text.substr(0, 63) + "A"));
}

}  // namespace
}  // namespace stampede::trust

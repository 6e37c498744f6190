#include "src/trust/token.h"

#include <gtest/gtest.h>

namespace stampede::trust {
namespace {

PublicKey filled(unsigned value) {
  PublicKey key{};
  key.fill(static_cast<std::byte>(value));
  return key;
}

void expect_refused(std::string_view text) {
  const auto token = parse_token(text);
  ASSERT_FALSE(token) << text;
  EXPECT_EQ(token.error().code, Code::token_invalid);
  EXPECT_EQ(token.error().message.find('\n'), std::string::npos);
}

TEST(Token, RoundTrip) {
  SeededRandom random(7);
  for (std::size_t n = 0; n <= kMaxSigners; ++n) {
    std::vector<PublicKey> signers;
    for (std::size_t i = 0; i < n; ++i) signers.push_back(filled(static_cast<unsigned>(i + 1)));
    const JoinToken token = make_token(filled(0xaa), signers, random);
    const auto parsed = parse_token(encode(token));
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(parsed->site, token.site);
    EXPECT_EQ(parsed->secret, token.secret);
    EXPECT_EQ(parsed->signers, signers);
  }
}

TEST(Token, SecretsDiffer) {
  EXPECT_NE(make_token({}, {}, system_random()).secret, make_token({}, {}, system_random()).secret);
}

// Pins the format: 01 · 11×32 · 22×32 · 01 · 33×32.
TEST(Token, Golden) {
  JoinToken token{.site = filled(0x11), .secret = filled(0x22), .signers = {filled(0x33)}};
  const std::string golden =
      "stmp1.ARERERERERERERERERERERERERERERERERERERERERERIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIBMzMzMz"
      "MzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzM";
  EXPECT_EQ(encode(token), golden);
  const auto parsed = parse_token(golden);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->site, token.site);
  EXPECT_EQ(parsed->secret, token.secret);
  EXPECT_EQ(parsed->signers, token.signers);
}

TEST(Token, WhiteSpaceAround) {
  SeededRandom random(1);
  const std::string text = encode(make_token(filled(1), {filled(2)}, random));
  EXPECT_TRUE(parse_token("  \t" + text + " \r\n\n"));
  EXPECT_TRUE(parse_token(text + std::string(100000, '\n')));
  expect_refused(text.substr(0, 40) + "\n" + text.substr(40));
  expect_refused(text.substr(0, 6) + " " + text.substr(6));
}

TEST(Token, Garbage) {
  for (const std::string_view text : {"", " ", "stmp1", "stmp1.", "stmp2.AAAA", "STMP1.AAAA", "stmp1.====", "stmp1.A", "x"})
    expect_refused(text);
}

TEST(Token, EveryTruncationIsRefused) {
  SeededRandom random(2);
  const std::string text = encode(make_token(filled(1), {filled(2), filled(3)}, random));
  for (std::size_t size = 0; size < text.size(); ++size) expect_refused(text.substr(0, size));
  expect_refused(text + "A");
  expect_refused(text + "AAAA");
}

std::string from_bytes(const Bytes& bytes) { return "stmp1." + to_base64url(bytes); }

TEST(Token, RefusesWhatItsBytesDoNotBear) {
  const auto start = [](std::uint8_t version, std::size_t signers) {
    ByteWriter writer;
    writer.u8(version).raw(filled(1)).raw(filled(2)).u8(static_cast<std::uint8_t>(signers));
    return writer;
  };
  EXPECT_TRUE(parse_token(from_bytes(start(1, 0).take())));
  expect_refused(from_bytes(start(2, 0).take()));
  expect_refused(from_bytes(start(1, 2).raw(filled(3)).take()));
  expect_refused(from_bytes(start(1, 0).raw(filled(3)).take()));
  ByteWriter too_many = start(1, kMaxSigners + 1);
  for (std::size_t i = 0; i <= kMaxSigners; ++i) too_many.raw(filled(3));
  expect_refused(from_bytes(too_many.take()));
  expect_refused("stmp1." + std::string(5'000'000, 'A'));
}

}  // namespace
}  // namespace stampede::trust

#include "chunker/seal.h"

#include "tests/chunker/scratch.h"

namespace stampede::chunker {
namespace {

using namespace stampede::testing;

UntrustedChunk claim(const SealedChunk& chunk) { return {chunk.id, chunk.codec, chunk.plain_size, chunk.bytes}; }

TEST(Seal, RoundTripsAndIsNeverLonger) {
  Sealer sealer;
  Opener opener;
  Digester digester;
  for (const std::size_t size : {1UL, 511UL, 4096UL, 65536UL, 262144UL}) {
    for (const Bytes& plain : {random_bytes(size, size), texty_bytes(size, size), Bytes(size, std::byte{7})}) {
      const SealedChunk sealed = sealer.seal(digester.name(plain));
      EXPECT_LE(sealed.bytes.size(), plain.size());
      EXPECT_EQ(sealed.codec == Codec::raw, sealed.bytes.size() == plain.size());
      Bytes out(size);
      const auto opened = opener.open(claim(sealed), out);
      ASSERT_DONE(opened);
      EXPECT_EQ(out, plain);
      EXPECT_EQ(opened->id().digest, sha256(plain));
      EXPECT_EQ(opened->bytes().data(), out.data());
    }
  }
}

TEST(Seal, OpensManyOneAfterAnother) {
  std::vector<Bytes> plain;
  for (std::size_t i = 0; i < 9; ++i)
    plain.push_back(i % 2 == 0 ? random_bytes(i, 1000 + i * 30'000) : texty_bytes(i, 1000 + i * 30'000));
  Bytes all;
  std::vector<SealedChunk> sealed;
  for (const Bytes& one : plain) {
    all.insert(all.end(), one.begin(), one.end());
    sealed.push_back(Sealer().seal(Digester().name(one)));
  }
  std::vector<UntrustedChunk> claims;
  for (const SealedChunk& chunk : sealed) claims.push_back(claim(chunk));
  Opener opener;
  Bytes out(all.size());
  const auto opened = opener.open(claims, out);
  ASSERT_DONE(opened);
  EXPECT_EQ(out, all);
  for (std::size_t i = 0; i < plain.size(); ++i) {
    EXPECT_EQ((*opened)[i].id(), sealed[i].id);
    EXPECT_EQ(copy((*opened)[i].bytes()), plain[i]);
  }
  for (std::size_t i = 0; i < sealed.size(); ++i) {  // the bytes of one under another's name
    auto swapped = claims;
    swapped[i].claimed = claims[(i + 1) % claims.size()].claimed;
    EXPECT_CODE(Code::content_altered, opener.open(swapped, out));
  }
  EXPECT_CODE(Code::internal, opener.open(claims, MutableBytes(out).first(out.size() - 1)));
}

TEST(Seal, AtLevelZeroNothingIsCompressed) {
  const Bytes plain = texty_bytes(3, 600);
  Digester digester;
  const SealedChunk sealed = Sealer(kRawLevel).seal(digester.name(plain));
  EXPECT_EQ(sealed.codec, Codec::raw);
  EXPECT_EQ(sealed.bytes, plain);
}

TEST(Seal, EveryAlteredBitIsSeen) {
  const Bytes plain = texty_bytes(3, 600);
  Digester digester;
  const SealedChunk sealed = Sealer().seal(digester.name(plain));
  ASSERT_EQ(sealed.codec, Codec::zstd);
  Opener opener;
  Bytes out(plain.size());
  for (std::size_t bit = 0; bit < sealed.bytes.size() * 8; ++bit) {
    SealedChunk altered = sealed;
    altered.bytes[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
    // Some bits of a frame mean nothing; then the right bytes come out, and that is right.
    if (const auto opened = opener.open(claim(altered), out))
      EXPECT_EQ(out, plain);
    else
      EXPECT_EQ(opened.error().code, Code::content_altered);
  }
}

TEST(Seal, RefusesWhatIsNotTheFramePromised) {
  const Bytes plain = texty_bytes(4, 9000);
  Digester digester;
  const SealedChunk good = Sealer().seal(digester.name(plain));
  Opener opener;
  Bytes out(20000);
  const auto refused = [&](auto change) {
    SealedChunk chunk = good;
    change(chunk);
    return code_of(opener.open(claim(chunk), out));
  };
  EXPECT_EQ(refused([](SealedChunk&) {}), Code{});
  EXPECT_EQ(refused([](SealedChunk& c) { c.plain_size = 9001; }), Code::content_altered);
  EXPECT_EQ(refused([](SealedChunk& c) { c.plain_size = 0; }), Code::content_altered);
  EXPECT_EQ(refused([](SealedChunk& c) { c.plain_size = 0xffffffff; }), Code::content_altered);
  EXPECT_EQ(refused([](SealedChunk& c) { c.bytes.push_back(std::byte{0}); }), Code::content_altered);
  EXPECT_EQ(refused([](SealedChunk& c) { c.bytes.pop_back(); }), Code::content_altered);
  EXPECT_EQ(refused([](SealedChunk& c) { c.bytes.clear(); }), Code::content_altered);
  EXPECT_EQ(refused([](SealedChunk& c) { c.codec = Codec::raw; }), Code::content_altered);
  EXPECT_EQ(refused([](SealedChunk& c) { c.codec = Codec{2}; }), Code::content_altered);
  EXPECT_EQ(refused([](SealedChunk& c) { c.id.digest[0] ^= std::byte{1}; }), Code::content_altered);
  EXPECT_CODE(Code::internal, opener.open(claim(good), MutableBytes(out).first(8999)));
}

TEST(Seal, FramesAroundPlainBytesAreZstd) {
  Opener opener;
  for (const std::size_t size : {1UL, 4096UL, 131072UL, 131073UL, 262144UL, 1UL << 20}) {
    const Bytes plain = random_bytes(size, size);
    Bytes out(size);
    ASSERT_DONE(opener.open_frame(raw_frame(plain), out));
    EXPECT_EQ(out, plain);
    const Bytes zeros = zero_frame(Size{size});
    EXPECT_LT(zeros.size(), 50U);
    ASSERT_DONE(opener.open_frame(zeros, out));
    EXPECT_EQ(out, Bytes(size));
  }
}

TEST(Seal, OpensFramesOfOthersWithinTheRoomThatTheyAreGiven) {
  Opener opener;
  Bytes out(4096);
  EXPECT_CODE(Code::content_altered, opener.open_frame(zero_frame(4097_B), out));
  EXPECT_CODE(Code::content_altered, opener.open_frame(zero_frame(4095_B), out));
  EXPECT_CODE(Code::content_altered, opener.open_frame(zero_frame(kMaxObject), out));
  EXPECT_CODE(Code::content_altered, opener.open_frame(as_bytes("no frame"), out));
}

}  // namespace
}  // namespace stampede::chunker

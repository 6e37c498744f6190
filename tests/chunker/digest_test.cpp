#include "chunker/digest.h"

#include "tests/chunker/scratch.h"

namespace stampede::chunker {
namespace {

using namespace stampede::testing;

TEST(Digest, IsSha256) {
  EXPECT_EQ(to_hex(sha256(as_bytes("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Digest, IsSha512_256) {
  EXPECT_EQ(to_hex(sha512_256(as_bytes("abc"))), "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23");
  EXPECT_EQ(to_hex(sha512_256(Bytes(262144))), "1c8109946feed9f9e9fe4b5144d90f05a50fb3275e848cb72f4b9546d8c533f2");
}

TEST(Digest, NamesAndVerifies) {
  const Bytes bytes = random_bytes(1, 100'000);
  Digester digester;
  const VerifiedChunk named = digester.name(bytes);
  EXPECT_EQ(named.id().digest, sha256(bytes));
  EXPECT_EQ(named.bytes().data(), bytes.data());
  EXPECT_DONE(digester.verify(named.id(), bytes));
  Bytes altered = bytes;
  altered[99'999] ^= std::byte{1};
  EXPECT_CODE(Code::content_altered, digester.verify(named.id(), altered));
}

TEST(Digest, TakesPartsInAnySizes) {
  const Bytes bytes = random_bytes(2, 5000);
  Digester digester;
  digester.start();
  for (std::size_t at = 0, size = 1; at < bytes.size(); at += size, size = size * 3 % 701)
    digester.add(ByteView(bytes).subspan(at, std::min(size, bytes.size() - at)));
  EXPECT_EQ(digester.finish(), sha256(bytes));
}

}  // namespace
}  // namespace stampede::chunker

#include "chunker/cutter.h"

#include <map>

#include "tests/chunker/scratch.h"

namespace stampede::chunker {
namespace {

using namespace stampede::testing;

std::vector<std::size_t> cut_all(ByteView data) {
  std::vector<std::size_t> lengths;
  while (!data.empty()) {
    lengths.push_back(cut(data).bytes);
    data = data.subspan(lengths.back());
  }
  return lengths;
}

TEST(Cutter, ChunksAreBlocksWithinTheBounds) {
  const Bytes data = random_bytes(1, 16 << 20);
  const auto lengths = cut_all(data);
  for (std::size_t i = 0; i + 1 < lengths.size(); ++i) {
    EXPECT_EQ(lengths[i] % 4096, 0U);
    EXPECT_GE(lengths[i], 16384U);
    EXPECT_LE(lengths[i], 262144U);
  }
  const double mean = static_cast<double>(data.size()) / static_cast<double>(lengths.size());
  EXPECT_NEAR(mean, 75'000, 10'000);  // three blocks that cannot end a chunk, then 16 on average, cut off at 64
}

// The profile is a format: these ends must never change.
TEST(Cutter, GoldenEnds) {
  const std::vector<std::size_t> lengths = cut_all(random_bytes(7, 1 << 20));
  const std::vector<std::size_t> expected{49152, 16384,  151552, 61440, 57344, 73728, 184320, 45056, 28672,
                                          24576, 126976, 16384,  65536, 36864, 61440, 40960,  8192};
  EXPECT_EQ(lengths, expected);
}

TEST(Cutter, EndsAreTheSameAfterAnInsertedBlock) {
  const Bytes data = random_bytes(2, 4 << 20);
  Bytes shifted = random_bytes(3, 4096);
  shifted.insert(shifted.end(), data.begin(), data.end());
  std::map<Sha256, int> seen;
  std::size_t at = 0, shared = 0;
  for (const std::size_t length : cut_all(data)) {
    seen[sha256(ByteView(data).subspan(at, length))] = 1;
    at += length;
  }
  at = 0;
  for (const std::size_t length : cut_all(shifted)) {
    if (seen.contains(sha256(ByteView(shifted).subspan(at, length)))) shared += length;
    at += length;
  }
  EXPECT_GT(shared, data.size() - 512 * 1024);
}

TEST(Cutter, ShortAndUnalignedEnds) {
  for (const std::size_t size : {1UL, 512UL, 4096UL, 16383UL, 16384UL}) EXPECT_EQ(cut(random_bytes(4, size)).bytes, size);
  // Equal blocks whose hash does not end a chunk run to the maximum.
  Bytes same(300'000, std::byte{1});
  const auto lengths = cut_all(same);
  EXPECT_TRUE(lengths.front() == 262144 || lengths.front() == 16384);
  EXPECT_EQ(lengths.back(), lengths.front() == 262144 ? 300'000 - 262'144 : 300'000 % 16384);
}

}  // namespace
}  // namespace stampede::chunker

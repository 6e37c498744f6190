#include "chunker/multi_buffer.h"

#include <random>

#ifdef STAMPEDE_IPSEC_MB
#include <cpuid.h>
#endif

#include "chunker/digest.h"
#include "src/base/aligned.h"
#include "tests/chunker/scratch.h"

namespace stampede::chunker {
namespace {

using namespace stampede::testing;
using Lanes = MultiBufferSha256::Lanes;

class MultiBuffer : public ::testing::TestWithParam<Lanes> {};

TEST_P(MultiBuffer, IsSha256OfEachRun) {
  const auto lanes = MultiBufferSha256::with(GetParam());
  ASSERT_NE(lanes, nullptr);
  std::mt19937 random(5);
  const Bytes bytes = random_bytes(6, 2 * kMaxChunk.bytes);
  for (std::size_t round = 0; round < 40; ++round) {
    std::vector<ByteView> runs(1 + random() % 40);
    for (ByteView& run : runs) {
      const std::size_t most = round % 2 == 0 ? 300 : kMaxChunk.bytes;
      run = ByteView(bytes).subspan(random() % kMaxChunk.bytes, 1 + random() % most);
    }
    std::vector<Sha256> digests(runs.size());
    for (std::size_t i = 0; i < runs.size(); ++i) lanes->add(runs[i], digests[i]);
    lanes->finish();
    for (std::size_t i = 0; i < runs.size(); ++i) EXPECT_EQ(digests[i], sha256(runs[i])) << runs[i].size() << " bytes";
  }
}

TEST_P(MultiBuffer, TakesMoreRunsThanItHasPlacesFor) {
  const auto lanes = MultiBufferSha256::with(GetParam());
  ASSERT_NE(lanes, nullptr);
  const Bytes bytes = random_bytes(7, 70'000);
  std::vector<Sha256> digests(1000);
  // A long one first: none after it comes back before it.
  for (std::size_t i = 0; i < digests.size(); ++i) lanes->add(ByteView(bytes).first(i == 0 ? bytes.size() : i), digests[i]);
  lanes->finish();
  EXPECT_EQ(digests[0], sha256(bytes));
  for (std::size_t i = 1; i < digests.size(); ++i) EXPECT_EQ(digests[i], sha256(ByteView(bytes).first(i))) << i;
}

std::string name_of(const ::testing::TestParamInfo<Lanes>& lanes) {
  constexpr std::array kNames{"ShaExtensions", "Avx512", "Avx2"};
  return kNames[static_cast<std::size_t>(lanes.param)];
}
// By the processor's own word: lanes that it has and that are wrong must not look as if it had them not.
std::vector<Lanes> lanes_here() {
  std::vector<Lanes> out;
#ifdef STAMPEDE_IPSEC_MB
  const bool aes = __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.2");
  const bool avx2 = aes && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl");
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (aes && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & 1U << 29) != 0) out.push_back(Lanes::sha_extensions);
  if (avx512) out.push_back(Lanes::avx512);
  if (avx2) out.push_back(Lanes::avx2);
#endif
  return out;
}
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(MultiBuffer);
INSTANTIATE_TEST_SUITE_P(Each, MultiBuffer, ::testing::ValuesIn(lanes_here()), name_of);

// Long ones and empty ones are no runs for a lane.
TEST(DigestOfMany, NamesRunsOfAnySize) {
  const Bytes bytes = random_bytes(8, 3 * kMaxChunk.bytes);
  std::vector<ByteView> runs;
  for (const std::size_t size : {kMaxChunk.bytes, std::size_t{0}, kMaxChunk.bytes + 1, std::size_t{1}, std::size_t{4096},
                                 3 * kMaxChunk.bytes, std::size_t{70'000}, std::size_t{512}})
    runs.push_back(ByteView(bytes).first(size));
  Digester digester;
  for (std::size_t count = 0; count <= runs.size(); ++count) {
    const auto chunks = digester.recognise(std::span(runs).first(count));
    ASSERT_EQ(chunks.size(), count);
    for (std::size_t i = 0; i < count; ++i) {
      EXPECT_EQ(chunks[i].id().digest, sha256(runs[i])) << runs[i].size() << " bytes";
      EXPECT_EQ(chunks[i].bytes().data(), runs[i].data());
      EXPECT_EQ(chunks[i].bytes().size(), runs[i].size());
    }
  }
}

// Where it would go on with what was added, that memory is not there any more.
TEST(DigestOfMany, MayBeLeftUnfinished) {
  Digester digester;
  for (std::size_t count = 0; count < 20; ++count) {
    const AlignedMemory gone(100'000);
    Digester::Many many(digester, 20);
    for (std::size_t i = 0; i < count; ++i) many.add(ByteView(gone.bytes()).first(50'000 + i));
  }
  const Bytes bytes = random_bytes(9, 100'000);
  const ByteView run(bytes);
  EXPECT_EQ(digester.recognise(std::array{run, run.first(3), run.first(70'000)})[2].id().digest, sha256(run.first(70'000)));
}

}  // namespace
}  // namespace stampede::chunker

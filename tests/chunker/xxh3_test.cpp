#include "chunker/xxh3.h"

#include <xxhash.h>

#include "tests/chunker/scratch.h"

#ifdef __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace stampede::chunker {
namespace {

using namespace stampede::testing;

// Whatever instructions are taken.
TEST(Xxh3, IsTheLibrarysOwnValue) {
  const Bytes bytes = random_bytes(11, 70'000);
  for (const std::size_t size : {0, 1, 16, 17, 128, 129, 240, 241, 1024, 4096, 65'537, 70'000}) {
    EXPECT_EQ(xxh3_64(ByteView(bytes).first(size)), XXH3_64bits(bytes.data(), size)) << size;
    const XXH128_hash_t both = XXH3_128bits(bytes.data(), size);
    EXPECT_EQ(xxh3_128(ByteView(bytes).first(size)), std::pair(both.low64, both.high64)) << size;
  }
}

#ifdef __x86_64__

// Which parts of a thread's registers hold anything (XGETBV with ECX = 1), by bits.
__attribute__((target("xsave"))) unsigned long long parts_in_use() { return _xgetbv(1); }

__attribute__((noinline, target("avx"))) void clear_upper_halves() { _mm256_zeroupper(); }

bool can_ask_for_parts() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & 1U << 27) != 0 && __get_cpuid_count(13, 1, &a, &b, &c, &d) != 0 &&
         (a & 1U << 2) != 0;
}

TEST(Xxh3, LeavesNoUpperHalvesBehind) {
  if (!can_ask_for_parts()) GTEST_SKIP() << "this processor does not say which registers are in use";
  constexpr unsigned long long kUpper = 1U << 2 | 1U << 6;  // of the sixteen that SSE has: what AVX adds, and AVX-512
  clear_upper_halves();
  if ((parts_in_use() & kUpper) != 0) GTEST_SKIP() << "this processor does not say when they are in use no more";
  const Bytes bytes = random_bytes(12, 65'536);
  const auto low = xxh3_64(bytes);
  const auto after_64 = parts_in_use();
  const auto both = xxh3_128(bytes);
  const auto after_128 = parts_in_use();
  EXPECT_EQ(after_64 & kUpper, 0U) << low;
  EXPECT_EQ(after_128 & kUpper, 0U) << both.first;
}

#endif

}  // namespace
}  // namespace stampede::chunker

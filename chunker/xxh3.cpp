#include "chunker/xxh3.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif

namespace stampede::chunker {

namespace {

// The library's AVX-512 functions leave the upper halves of the vector registers in use. Every SSE instruction that this
// thread executes later then waits to keep them: on Zen 4 SHA-256, all SSE, has half its speed.
#ifdef __x86_64__
__attribute__((noinline, target("avx"))) void clear_upper_halves() { _mm256_zeroupper(); }
void leave_upper_halves() {
  static const bool has_avx = __builtin_cpu_supports("avx") != 0;
  if (has_avx) clear_upper_halves();
}
#else
void leave_upper_halves() {}
#endif

}  // namespace

std::uint64_t xxh3_64(ByteView bytes) {
  const XXH64_hash_t hash = XXH3_64bits(bytes.data(), bytes.size());
  leave_upper_halves();
  return hash;
}

std::pair<std::uint64_t, std::uint64_t> xxh3_128(ByteView bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  leave_upper_halves();
  return {hash.low64, hash.high64};
}

}  // namespace stampede::chunker

// XXH3 (xxHash 0.8), by the widest instructions that the processor has: what the library calls XXH3_64bits uses those that
// every x86-64 has and takes twice as long (AVX-512, 64 KiB: 17 GB/s against 39; of memory that is not in the cache 5.6
// against 10.4). The values are the same everywhere.
#pragma once

#include <cstdint>
#include <utility>

#include "src/base/bytes.h"

namespace stampede::chunker {

std::uint64_t xxh3_64(ByteView bytes);
// Low half first.
std::pair<std::uint64_t, std::uint64_t> xxh3_128(ByteView bytes);

}  // namespace stampede::chunker

// A quick fingerprint for asking a disk whether it returns what it was given: XXH3-128, ten times as fast as SHA-256. It is
// taken from bytes whose SHA-256 was right and compared with bytes read back, so it stands against faults of disk, cable and
// memory (an accidental match: 2^-128), not against forgery; identity is always SHA-256.
#pragma once

#include <compare>
#include <cstdint>

#include "chunker/types.h"

namespace stampede::chunker {

struct Fingerprint {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  auto operator<=>(const Fingerprint&) const = default;
};

Fingerprint fingerprint(ByteView bytes);

}  // namespace stampede::chunker

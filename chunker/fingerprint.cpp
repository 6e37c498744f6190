#include "chunker/fingerprint.h"

#include "chunker/xxh3.h"

namespace stampede::chunker {

Fingerprint fingerprint(ByteView bytes) {
  const auto [low, high] = xxh3_128(bytes);
  return {low, high};
}

}  // namespace stampede::chunker

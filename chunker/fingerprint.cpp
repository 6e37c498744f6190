#include "chunker/fingerprint.h"

#include <xxhash.h>

namespace stampede::chunker {

Fingerprint fingerprint(ByteView bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.low64, hash.high64};
}

}  // namespace stampede::chunker

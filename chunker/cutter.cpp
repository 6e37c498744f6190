#include "chunker/cutter.h"

#include <algorithm>

#include "chunker/xxh3.h"

namespace stampede::chunker {

Size cut(ByteView data, const CutterProfile& profile) {
  const std::size_t limit = std::min<std::size_t>(data.size(), profile.max.bytes);
  // The first block after which a chunk may end is the one that makes it profile.min long.
  for (std::size_t end = profile.min.bytes; end < limit; end += kBlock.bytes) {
    const ByteView block = data.subspan(end - kBlock.bytes, kBlock.bytes);
    prefetch(data.subspan(end, std::min<std::size_t>(kBlock.bytes, limit - end)));
    if ((xxh3_64(block) & profile.mask) == 0) return {end};
  }
  return {limit};
}

}  // namespace stampede::chunker

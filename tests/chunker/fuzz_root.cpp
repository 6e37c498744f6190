#include <algorithm>
#include <cstdlib>

#include "chunker/manifest.h"

// What is decoded must encode to the same bytes: there is one encoding of everything.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const stampede::ByteView input = std::as_bytes(std::span(data, size));
  const auto root = stampede::chunker::decode_root(input);
  if (root && !std::ranges::equal(encode(*root), input)) std::abort();
  return 0;
}

#include <cstdlib>

#include "cache/pack.h"

// The input is the end of a pack that begins with 1 MiB of records.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stampede;
  using namespace stampede::cache;
  const ByteView input = std::as_bytes(std::span(data, size));
  const auto footer = Footer::decode(input, {1 << 20});
  if (!footer) return 0;
  std::vector<PackEntry> entries;
  for (std::uint32_t i = 0; i < footer->size(); ++i) {
    entries.push_back(footer->entry(i));
    if (entries.back().end().bytes > 1 << 20) std::abort();
  }
  const Bytes again = encode_footer(entries, {1 << 20});
  if (again.size() != size || std::memcmp(again.data(), data, size) != 0) std::abort();
  return 0;
}

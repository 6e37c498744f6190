// What a disk says of itself: hostile bytes are no record, and what is one is encoded again to the same bytes.
#include <algorithm>
#include <cstdlib>

#include "src/disk/in_progress.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stampede;
  const ByteView bytes = std::as_bytes(std::span(data, size));
  if (const auto record = disk::decode_in_progress(bytes))
    if (!std::ranges::equal(disk::encode(*record), bytes.first(disk::kInProgressSize))) std::abort();
  if (const auto record = disk::decode_mark(bytes))
    if (!std::ranges::equal(disk::encode_mark(*record), bytes.first(disk::kMarkSize))) std::abort();
  disk::find_in_progress(bytes);
  return 0;
}

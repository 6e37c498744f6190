// A rescue file is refused, or encodes to the same content again; what it makes us hold is bounded.
#include <algorithm>
#include <cstdlib>

#include "chunker/digest.h"
#include "src/disk/rescue.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stampede;
  const ByteView given = std::as_bytes(std::span(data, size));
  // With magic, version and checksum made right, so that what is behind them is reached.
  Bytes bytes = *from_hex("53544d50524553430100");
  bytes.insert(bytes.end(), given.begin(), given.end());
  const auto digest = chunker::sha256(bytes);
  bytes.insert(bytes.end(), digest.begin(), digest.end());
  for (const ByteView input : {given, ByteView(bytes)}) {
    const auto rescue = disk::decode_rescue(input);
    if (!rescue) continue;
    std::uint64_t covered = 0;
    for (const auto& run : rescue->runs) covered += run.bytes.size();
    if (covered > disk::kMostCovered.bytes) std::abort();
    const auto again = disk::decode_rescue(disk::encode(*rescue));
    // Runs may be cut anew, so that there are more of them than a file takes: then it is refused, not altered.
    if (again && (again->disk.serial != rescue->disk.serial || again->disk.size != rescue->disk.size)) std::abort();
  }
  return 0;
}

#include <algorithm>
#include <cstdlib>

#include "chunker/manifest.h"
#include "chunker/manifest_layout.h"

// The input is a segment record; what the root says of it is derived so that as much as possible gets past the comparison.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stampede;
  using namespace stampede::chunker;
  const ByteView input = std::as_bytes(std::span(data, size));
  SegmentRef ref;
  ref.plain_size = static_cast<std::uint32_t>(size);
  if (size >= kSegmentHead) {
    ref.records = load_le<std::uint32_t>(input.subspan(12));
    ref.offset = {load_le<std::uint64_t>(input.subspan(16))};
    Segment guess;
    for (std::size_t at = kSegmentHead; at + kRecordEntry <= size; at += kRecordEntry) {
      const std::uint64_t word = load_le<std::uint64_t>(input.subspan(at));
      guess.records.push_back({static_cast<RecordKind>(word >> 56), Size{word & kMaxDisk.bytes}, {}});
    }
    const SegmentRef counted = describe(guess);
    ref.spans = counted.spans;
    ref.data_records = counted.data_records;
  }
  const auto segment = decode_segment(input, ref);
  if (!segment) return 0;
  if (!std::ranges::equal(encode(*segment), input)) std::abort();
  if (spans_of(*segment).size() != ref.spans) std::abort();
  return 0;
}

#include <cstdlib>

#include "chunker/tag_record.h"

// What is decoded can be encoded, and then decodes to the same again; but for fractions, of which no member that is known
// has any and which boost::json reads to about the last digit.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stampede;
  const auto record = chunker::decode_tag_record(std::as_bytes(std::span(data, size)));
  if (!record) return 0;
  const Bytes bytes = encode(*record);
  if (bytes.size() > chunker::kMaxTagRecord.bytes) return 0;  // escapes may make it longer
  auto again = chunker::decode_tag_record(bytes);
  if (!again || again->others.empty() != record->others.empty()) std::abort();
  again->others = record->others;
  if (encode(*again) != bytes) std::abort();
  return 0;
}

#include <algorithm>
#include <tuple>

#include "src/formats/image_header.h"

using namespace stampede;

// The file's start, and whatever it says where more is.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes = std::as_bytes(std::span(data, size));
  const auto read = [&](Offset at, std::size_t length) -> Result<Bytes> {
    if (at.bytes >= bytes.size()) return Bytes{};
    return copy(bytes.subspan(at.bytes, std::min<std::size_t>(length, bytes.size() - at.bytes)));
  };
  using formats::Kind;
  for (const Kind kind : {Kind::qcow2, Kind::vmdk, Kind::vhdx, Kind::vdi})
    std::ignore = formats::check_image_header(kind, read, "fuzz");
  return 0;
}

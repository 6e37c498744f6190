// Frames from outside: refused, or decoded to a message whose encoding is the frame.
#include <cstdlib>

#include "transport/wire/messages.h"

using namespace stampede;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView frame = std::as_bytes(std::span(data, size));
  if (frame.size() < wire::kHeaderSize) return 0;
  // The length is set right, or nearly every input would stop there.
  Bytes copied = copy(frame);
  store_le(MutableBytes(copied), static_cast<std::uint32_t>(frame.size() - wire::kHeaderSize));
  static_cast<void>(wire::decode_header(frame.first(wire::kHeaderSize)));
  const auto header = wire::decode_header(ByteView(copied).first(wire::kHeaderSize));
  if (!header) return 0;
  const auto message = wire::decode(*header, Buffer(ByteView(copied).subspan(wire::kHeaderSize)));
  if (message && wire::encode(*message) != copied) std::abort();
  return 0;
}

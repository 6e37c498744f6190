// Packets and frames from outside: refused, or decoded to what encodes to the same bytes.
#include <algorithm>
#include <cstdlib>

#include "transport/multicast/packet.h"

using namespace stampede;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input = std::as_bytes(std::span(data, size));
  Bytes packet(multicast::kPacketHeader + multicast::kMinSymbolSize);
  std::ranges::copy(input.first(std::min(size, packet.size())), packet.begin());
  if (const auto back = multicast::decode(packet, {1 << 20, multicast::kMinSymbolSize})) {
    Bytes again = packet;
    multicast::encode(back->header, again);
    const multicast::Layout layout(back->header.frame_size, multicast::kMinSymbolSize);
    if (again != packet || back->header.k > multicast::kMaxData) std::abort();
    if (!back->header.is_parity() && layout.offset(back->header.generation, back->header.index) >= back->header.frame_size)
      std::abort();
  }
  static_cast<void>(multicast::decode(input, {1 << 20, multicast::kMinSymbolSize}));
  const auto frame = multicast::decode_frame(Buffer(input));
  if (frame && !std::ranges::equal(multicast::encode_frame(frame->parts, frame->bytes), input)) std::abort();
  return 0;
}

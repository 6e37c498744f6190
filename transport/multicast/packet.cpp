#include "transport/multicast/packet.h"

#include <numeric>
#include <stdexcept>

namespace stampede::multicast {

void encode(const Header& header, MutableBytes out) {
  store_le(out, header.span);
  out[4] = std::byte{header.generation};
  out[5] = std::byte{header.generations};
  out[6] = std::byte{header.k};
  out[7] = std::byte{header.index};
  store_le(out.subspan(8), header.frame_size);
}

Result<Packet> decode(ByteView packet, const Shape& shape) {
  if (packet.size() != kPacketHeader + shape.symbol_size)
    return fail(Code::protocol, "multicast packet of {} bytes, not {}", packet.size(), kPacketHeader + shape.symbol_size);
  ByteReader in(packet);
  Header h;
  h.span = in.u32();
  h.generation = in.u8();
  h.generations = in.u8();
  h.k = in.u8();
  h.index = in.u8();
  h.frame_size = in.u32();
  if (h.span >= shape.span_count) return fail(Code::protocol, "multicast packet of span {} of {}", h.span, shape.span_count);
  if (h.frame_size < 2 || h.frame_size > kMaxFrame)
    return fail(Code::protocol, "multicast packet of a frame of {} bytes", h.frame_size);
  const Layout layout(h.frame_size, shape.symbol_size);
  if (h.generations != layout.generations() || h.generation >= h.generations || h.k != layout.k(h.generation) ||
      h.index >= kMaxIndex)
    return fail(Code::protocol,
                "multicast packet of span {}: symbol {} of generation {} (of {}, k {}) of a frame of {} bytes", h.span,
                h.index, h.generation, h.generations, h.k, h.frame_size);
  return Packet{h, packet.subspan(kPacketHeader)};
}

Bytes encode_frame(std::span<const wire::SpanPart> parts, ByteView bytes) {
  const auto sum = std::accumulate(parts.begin(), parts.end(), std::uint64_t{0},
                                   [](std::uint64_t n, const wire::SpanPart& part) { return n + part.sealed_size; });
  if (parts.size() > wire::kMaxSpanParts || bytes.size() > wire::kMaxSpanBytes || sum != bytes.size())
    throw std::invalid_argument("encode_frame: parts and bytes are not those of a span");
  ByteWriter out(2 + 5 * parts.size() + bytes.size());
  out.u16(static_cast<std::uint16_t>(parts.size()));
  for (const wire::SpanPart& part : parts) out.u8(part.codec).u32(part.sealed_size);
  return out.raw(bytes).take();
}

Result<Frame> decode_frame(Buffer frame) {
  ByteReader in(frame);
  const std::size_t count = in.u16();
  if (count > wire::kMaxSpanParts || in.left() < 5 * count)
    return fail(Code::protocol, "multicast frame of {} bytes says that it has {} parts", frame.size(), count);
  Frame out;
  out.parts.resize(count);
  std::uint64_t sum = 0;
  for (wire::SpanPart& part : out.parts) {
    part.codec = in.u8();
    part.sealed_size = in.u32();
    sum += part.sealed_size;
  }
  if (!in.ok() || sum != in.left() || sum > wire::kMaxSpanBytes)
    return fail(Code::protocol, "multicast frame: {} bytes follow parts of {} together", in.left(), sum);
  const std::size_t left = in.left();
  out.bytes = std::move(frame).last(left);
  return out;
}

}  // namespace stampede::multicast

#include <algorithm>
#include <utility>

#include "transport/wire/fields.h"

namespace stampede::wire {

namespace {
template <std::size_t... I>
auto all_bounds(std::index_sequence<I...>) {
  return std::array{Bounds::of<std::variant_alternative_t<I, Message>>()...};
}
}  // namespace

const Bounds* bounds_of(std::uint8_t type) {
  static const auto bounds = all_bounds(std::make_index_sequence<std::variant_size_v<Message>>());
  return type >= 1 && type <= bounds.size() ? &bounds[type - 1U] : nullptr;
}

Result<FrameHeader> decode_header(ByteView header) {
  ByteReader reader(header);
  FrameHeader out;
  out.payload = reader.u32();
  out.type = reader.u8();
  const auto padding = reader.array<3>();
  if (!reader.ok_and_empty()) return fail(Code::protocol, "a frame header has {} bytes, not {}", header.size(), kHeaderSize);
  if (!all_zero(padding)) return fail(Code::protocol, "a frame header has non-zero padding: not a Stampede peer?");
  const Bounds* bounds = bounds_of(out.type);
  if (bounds == nullptr) return fail(Code::protocol, "frame type {} is unknown to this version", out.type);
  if (out.payload > std::min(bounds->greatest, kMaxPayload) || out.payload < bounds->least) {
    return fail(Code::protocol, "{}: a payload of {} bytes is outside {} to {}", kNames[out.type - 1U], out.payload,
                bounds->least, bounds->greatest);
  }
  return out;
}

Result<std::uint16_t> agree(const Hello& ours, const Hello& theirs) {
  const std::uint16_t version = std::min(ours.max_version, theirs.max_version);
  if (version < std::max(ours.min_version, theirs.min_version)) {
    return fail(Code::protocol, "no common protocol version: {} to {} here, {} to {} there ({}); update the older side",
                ours.min_version, ours.max_version, theirs.min_version, theirs.max_version, theirs.software);
  }
  return version;
}

}  // namespace stampede::wire

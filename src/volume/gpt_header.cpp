#include "src/volume/gpt_header.h"

namespace stampede::volume {

std::optional<GptHeader> decode_gpt_header(ByteView bytes) {
  ByteReader in(bytes);
  GptHeader out;
  if (as_text(in.view(8)) != "EFI PART") return std::nullopt;
  in.view(16);
  out.own = in.u64();
  out.other = in.u64();
  in.u64();
  out.last_usable = in.u64();
  out.disk_guid = in.array<16>();
  out.entries = in.u64();
  out.entries_size = in.u32();
  out.entries_size *= in.u32();
  if (!in.ok()) return std::nullopt;
  return out;
}

}  // namespace stampede::volume

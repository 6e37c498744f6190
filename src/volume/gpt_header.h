// The header of a GPT (UEFI 2.10 §5.3.2), little-endian, at the start of the disk's second sector and of its last one:
//   0   8  "EFI PART"      24  8  sector in which this header lies     32  8  sector of the other one
//  48   8  last sector for partitions      56 16  disk GUID       72  8  first sector of the entries
//  80   4  number of entries               84  4  size of one
// Whether its checksum holds, and whether what it names is inside the disk, is for others to say.
#pragma once

#include <array>
#include <optional>

#include "src/base/bytes.h"

namespace stampede::volume {

inline constexpr std::size_t kGptHeaderSize = 92;

struct GptHeader {
  std::uint64_t own = 0, other = 0, last_usable = 0, entries = 0;  // sectors
  std::uint64_t entries_size = 0;                                  // bytes; may be anything below 2^64
  std::array<std::byte, 16> disk_guid{};
};

// Nothing where the bytes, at least kGptHeaderSize, do not begin like one.
std::optional<GptHeader> decode_gpt_header(ByteView bytes);

}  // namespace stampede::volume

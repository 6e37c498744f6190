// The in-progress record: what the commit region holds while a disk is being written, so that a second run knows the disk as
// its own. It is a mark in LBA 0: one sector, so that it appears and goes at once, before the region is blanked and with the
// new boot sector; and not a boot sector, since bytes 510 and 511 are zero. 512 bytes at byte 0:
//   0   8  magic "STMPMARK"     8   2  version = 1     10  6  zero
//   16 32  image id            48  16  deployment id (random)
//   64  8  started, Unix time   72  8  disk size in bytes
//   80 32  SHA-256 of bytes 0…79      112  zeros up to 512
//
// Versions before this one left a block of 4 KiB at byte kInProgressAt instead, with bytes 0…4095 of the disk zero; it is
// still known:
//   0   8  magic "STMPPROG"     8…79  as in the mark
//   80     zeros up to 4064     4064 32  SHA-256 of bytes 0…4063
#pragma once

#include <array>
#include <optional>

#include "chunker/types.h"
#include "src/base/seams.h"

namespace stampede::disk {

inline constexpr Offset kInProgressAt{4096};
inline constexpr std::size_t kInProgressSize = 4096;

struct InProgress {
  chunker::ImageId image;
  std::array<std::byte, 16> deployment{};
  UnixTime started = 0;
  Size disk_size;
  bool operator==(const InProgress&) const = default;
};

Bytes encode(const InProgress& record);
// Nothing where the block is not a sound record.
std::optional<InProgress> decode_in_progress(ByteView block);

inline constexpr std::size_t kMarkSize = 512;
Bytes encode_mark(const InProgress& record);
std::optional<InProgress> decode_mark(ByteView sector);

// What the first 8 KiB of a disk say: a sound mark in LBA 0, or a sound record with nothing before it. A record behind
// a used LBA 0 is not ours any more.
std::optional<InProgress> find_in_progress(ByteView head);

}  // namespace stampede::disk

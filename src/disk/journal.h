// The journal of a deployment's progress: which spans are in their places and durable, so that a second run reads those
// alone (it hashes them: nothing is trusted) and asks for all others without reading. It lies in the blanked commit region,
// since a machine that was booted from the network has no other place; commit() writes over it.
//
// A record is written for every 128 new spans, and every two seconds for fewer; while chunks are moved on the disk every two
// seconds alone (Target::keep_journal_by_time). So much at most is not known to a second run, twice as much after a power
// cut.
//
// Two slots of 480 KiB, at bytes 64 KiB and 544 KiB of the disk, written in turn: a torn one leaves the other. A record:
//   0   8  magic "STMPJRNL"     8   2  version = 1     10  6  zero
//   16  8  sequence: the slot is sequence % 2, and the higher one counts
//   24 32  image id             56  8  disk size in bytes
//   64  4  spans of the image   68 28  zero
//   96 32  SHA-256 of bytes 0…95 and of the bitmap
//   128    a bit for each span, rounded up to bytes: bit i % 8 of byte i / 8; zero past the last span
// What follows in the slot means nothing. At most 3,931,136 spans, some 3.7 TiB of different data: of a larger image, and on
// a disk below 1 MiB, no journal is kept, and a second run reads the whole disk.
#pragma once

#include <array>
#include <optional>

#include "chunker/types.h"
#include "src/base/bitmap.h"

namespace stampede::disk {

inline constexpr std::array<Offset, 2> kJournalSlots{{{64UL << 10}, {544UL << 10}}};
inline constexpr Size kJournalSlot = 480_KiB;
inline constexpr Size kJournalHead = 128_B;
inline constexpr std::uint32_t kJournalSpans = (kJournalSlot - kJournalHead).bytes * 8;

struct JournalRecord {
  std::uint64_t sequence = 0;
  chunker::ImageId image;
  Size disk_size;
  Bitmap durable;
};

// At most kJournalSpans spans; as long as it has to be.
Bytes encode_journal(const JournalRecord& record);
// Nothing where the slot holds no sound record.
std::optional<JournalRecord> decode_journal(ByteView slot);

}  // namespace stampede::disk

// What the codecs of root and segment records, the builder and the loader share. Not for other rooms.
#pragma once

#include <span>

#include "chunker/manifest.h"

namespace stampede::chunker {

inline constexpr std::uint16_t kManifestVersion = 1;
inline constexpr std::uint16_t kCutterProfile = 1;
inline constexpr std::uint16_t kOffGridProfile = 2;
inline constexpr std::size_t kRootHead = 48;
inline constexpr std::size_t kPartitionEntry = 48;
inline constexpr std::size_t kSegmentEntry = 64;
inline constexpr std::size_t kSegmentHead = 24;
inline constexpr std::size_t kRecordEntry = 40;
// Record lengths have 56 bits, and a disk can be one zero record.
inline constexpr Size kMaxDisk{(std::uint64_t{1} << 56) - 1};

inline constexpr bool is_chunk(RecordKind kind) { return kind == RecordKind::data || kind == RecordKind::repeat; }
inline constexpr bool is_at_sector(std::uint64_t bytes) { return bytes % kSector.bytes == 0; }
// What the lengths of an image's records are multiples of, but for the disk's last.
inline constexpr Size grid_of(const Root& root) { return root.off_grid ? kSector : kBlock; }

// Walks the data records of a segment as spans: calls first(index) for the record with which a span begins.
template <class First>
void walk_spans(std::span<const Record> records, First&& first) {
  Size filled = kSpan;  // full, so that the first data record begins a span
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (records[i].kind != RecordKind::data) continue;
    if (filled + records[i].length > kSpan) {
      first(i);
      filled = {};
    }
    filled += records[i].length;
  }
}

// The counts that a SegmentRef states, taken from the segment itself.
SegmentRef describe(const Segment& segment);
// The disk offset just after the segment's last record.
Offset end_of(const Segment& segment);

}  // namespace stampede::chunker

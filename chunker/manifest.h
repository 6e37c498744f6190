// The manifest: the list of extents and chunk ids that is an image. Content only: the same disk has the same id wherever and
// whenever it is imported by the same rules of cutting, and with the same free space left out.
//
// Two kinds of record, both stored as chunks and both little-endian, fixed width:
//
// Root record ("STMPROOT"); its SHA-256 is the image id. At most kMaxObject bytes.
//   0   8  magic "STMPROOT"
//   8   2  version = 1
//   10  2  cutter profile: 1 (4 KiB blocks, XXH3, min 16 / mean 64 / max 256 KiB; see cutter.h); 2, the same, and some
//          records begin between blocks of the disk, at sectors of 512 bytes: files of a FAT, cut by themselves
//   12  4  logical sector size the image was made for: 512 or 4096
//   16  8  disk size in bytes (need not be a multiple of anything)
//   24  8  total plain bytes of data and repeat records
//   32  4  segment count
//   36  4  partition count (0…128)
//   40  1  table kind: 0 none, 1 MBR, 2 GPT
//   41  7  zero
//   48     partitions, 48 bytes each, ascending number:
//            0  4  number (from 1)      4  4  zero
//            8  8  offset in bytes     16  8  length in bytes
//           24 16  type GUID as on disk (GPT), or the MBR type byte and 15 zeros
//           40  8  attribute flags (GPT), or bit 0 = active (MBR)
//   then   segments, 64 bytes each, in disk order:
//            0 32  SHA-256 of the segment record, which is its chunk id
//           32  8  disk offset of its first record
//           40  4  records in it (1…4096)
//           44  4  spans in it (0…4096)
//           48  4  data records (first occurrences) in it
//           52  4  plain size of the segment record in bytes
//           56  8  zero
//
// Segment record ("STMPSEGM"): up to kSegmentRecords records that follow each other on the disk without a gap.
//   0   8  magic "STMPSEGM"
//   8   2  version = 1       10  2  zero      12  4  record count
//   16  8  disk offset of the first record
//   24     records, 40 bytes each:
//            0  8  low 56 bits: length in bytes; high 8 bits: kind (0 zero, 1 unspecified, 2 data, 3 repeat)
//            8 32  chunk id (data, repeat), else zeros
//
// A "data" record is the first place in disk order where its chunk occurs; a "repeat" is a later place of a chunk that a
// data record has named. Data and repeat lengths are 1…kMaxChunk; all but the last record of the disk are multiples of 4
// KiB, with profile 2 of 512 bytes. Adjacent zero (unspecified) records are merged. An empty disk has no segments.
//
// Spans: the data records of a segment in order, gathered until the next would take their plain bytes above kSpan; a span
// does not cross segments. Span indices run through the whole image. Everyone computes the same spans from the manifest:
// bitmaps, rarity, requests and the multicast stream count in them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "chunker/digest.h"
#include "chunker/types.h"
#include "src/base/error.h"

namespace stampede::chunker {

inline constexpr std::size_t kSegmentRecords = 4096;
inline constexpr std::size_t kMaxPartitions = 128;

struct SpanTag;
using SpanIndex = Index<SpanTag>;
struct SegmentTag;
using SegmentIndex = Index<SegmentTag>;

enum class RecordKind : std::uint8_t { zero = 0, unspecified = 1, data = 2, repeat = 3 };

struct Record {
  RecordKind kind = RecordKind::zero;
  Size length;
  ChunkId chunk;  // data and repeat
  auto operator<=>(const Record&) const = default;
};

struct Segment {
  Offset offset;
  std::vector<Record> records;
  bool operator==(const Segment&) const = default;
};

enum class TableKind : std::uint8_t { none = 0, mbr = 1, gpt = 2 };

struct Partition {
  std::uint32_t number = 0;
  Offset offset;
  Size length;
  std::array<std::byte, 16> type{};
  std::uint64_t flags = 0;
  auto operator<=>(const Partition&) const = default;
};

struct SegmentRef {
  ChunkId id;
  Offset offset;
  std::uint32_t records = 0;
  std::uint32_t spans = 0;
  std::uint32_t data_records = 0;
  std::uint32_t plain_size = 0;
  auto operator<=>(const SegmentRef&) const = default;
};

struct Root {
  std::uint32_t sector_size = 512;
  bool off_grid = false;  // cutter profile 2
  Size disk_size;
  Size data_size;
  TableKind table = TableKind::none;
  std::vector<Partition> partitions;
  std::vector<SegmentRef> segments;
  bool operator==(const Root&) const = default;

  std::uint32_t span_count() const;
};

Bytes encode(const Root& root);
Bytes encode(const Segment& segment);
// Hostile input is welcome: counts, orders, kinds, sums and reserved bytes are checked. Error: content_altered.
Result<Root> decode_root(ByteView bytes);
// Also checks that the segment is what `ref` says (offset, counts).
Result<Segment> decode_segment(ByteView bytes, const SegmentRef& ref);

// One chunk of a span: its id and length, and where on the disk it goes first.
struct SpanChunk {
  ChunkId id;
  std::uint32_t length = 0;
  Offset offset;
};
struct Span {
  std::vector<SpanChunk> chunks;
  Size plain_size() const;
};
// The spans of a segment, in order.
std::vector<Span> spans_of(const Segment& segment);
// The record with which each span of a segment begins: all of a span that has to be kept to find it again.
std::vector<std::uint32_t> span_starts(const Segment& segment);

// A whole manifest in memory: 48 bytes for each record, and what is derived from it. Bound: kMaxManifestRecords.
inline constexpr std::size_t kMaxManifestRecords = std::size_t{16} << 20;
struct Manifest {
  ImageId id;
  Root root;
  std::vector<Segment> segments;

  // The extents in disk order, adjacent ones of one kind merged.
  std::vector<Extent> extents() const;
  std::vector<Span> spans() const;
};

// Collects records in disk order and turns them into segments and a root. Memory: one open segment, 64 bytes for each
// closed one, and 32 bytes for each distinct chunk (to tell data from repeat).
class ManifestBuilder {
 public:
  // Called with every finished segment record, in order.
  using SegmentSink = std::function<Result<>(const ChunkId& id, ByteView bytes)>;
  ManifestBuilder(std::uint32_t sector_size, SegmentSink sink);
  ~ManifestBuilder();

  Result<> add_chunk(const ChunkId& id, Size length);
  // kind: zero or unspecified.
  Result<> add_extent(ExtentKind kind, Size length);
  // Ends the manifest; what is known of the partition table is set on `root` by the caller before encoding.
  Result<Root> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stampede::chunker

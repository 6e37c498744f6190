// The segment record's codec; the layout is in manifest.h.
#include "chunker/manifest.h"
#include "chunker/manifest_layout.h"

namespace stampede::chunker {
namespace {

constexpr std::string_view kMagic = "STMPSEGM";
constexpr unsigned kKindShift = 56;

template <class... Args>
std::unexpected<Error> bad(fmt::format_string<Args...> format, Args&&... args) {
  return fail(Code::content_altered, "segment record: {}", fmt::format(format, std::forward<Args>(args)...));
}

Result<Record> read_record(ByteReader& in) {
  const std::uint64_t word = in.u64();
  const std::uint64_t kind = word >> kKindShift;
  if (kind > static_cast<std::uint8_t>(RecordKind::repeat)) return bad("record kind {}", kind);
  Record record;
  record.kind = static_cast<RecordKind>(kind);
  record.length = {word & kMaxDisk.bytes};
  record.chunk = {in.array<32>()};
  if (record.length == Size{}) return bad("an empty record");
  if (is_chunk(record.kind) ? record.length > kMaxChunk : record.chunk != ChunkId{})
    return bad("an impossible record of {} bytes", record.length.bytes);
  return record;
}

Result<> check_neighbours(const Segment& segment) {
  Offset end = segment.offset;
  const Record* before = nullptr;
  for (const Record& record : segment.records) {
    if (before != nullptr && !is_at_sector(before->length.bytes)) return bad("a record of {} bytes", before->length.bytes);
    if (before != nullptr && before->kind == record.kind && !is_chunk(record.kind))
      return bad("extents that are not merged");
    if (record.length.bytes > kMaxDisk.bytes - end.bytes) return bad("ends beyond any disk");
    end += record.length;
    before = &record;
  }
  return {};
}

}  // namespace

Bytes encode(const Segment& segment) {
  ByteWriter out(kSegmentHead + kRecordEntry * segment.records.size());
  out.raw(as_bytes(kMagic)).u16(kManifestVersion).u16(0).u32(static_cast<std::uint32_t>(segment.records.size()));
  out.u64(segment.offset.bytes);
  for (const Record& record : segment.records)
    out.u64(static_cast<std::uint64_t>(record.kind) << kKindShift | record.length.bytes).raw(record.chunk.digest);
  return out.take();
}

Result<Segment> decode_segment(ByteView bytes, const SegmentRef& ref) {
  if (bytes.size() < kSegmentHead || bytes.size() != ref.plain_size) return bad("{} bytes long", bytes.size());
  ByteReader in(bytes);
  if (as_text(in.view(kMagic.size())) != kMagic) return bad("not one");
  if (const auto version = in.u16(); version != kManifestVersion) return bad("version {} is unknown here", version);
  if (in.u16() != 0) return bad("reserved bytes are not zero");
  const std::uint64_t count = in.u32();
  Segment segment;
  segment.offset = {in.u64()};
  if (count == 0 || count > kSegmentRecords || in.left() != kRecordEntry * count)
    return bad("{} records in {} bytes", count, bytes.size());
  if (!is_at_sector(segment.offset.bytes) || segment.offset.bytes > kMaxDisk.bytes)
    return bad("at byte {}", segment.offset.bytes);

  segment.records.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    STAMPEDE_TRY(const Record record, read_record(in));
    segment.records.push_back(record);
  }
  STAMPEDE_CHECK(check_neighbours(segment));
  SegmentRef found = describe(segment);
  found.id = ref.id;
  if (found != ref) return bad("not what the root record says of it");
  return segment;
}

}  // namespace stampede::chunker

// The root record's codec; the layout is in manifest.h.
#include "chunker/manifest.h"
#include "chunker/manifest_layout.h"

namespace stampede::chunker {
namespace {

constexpr std::string_view kMagic = "STMPROOT";

template <class... Args>
std::unexpected<Error> bad(fmt::format_string<Args...> format, Args&&... args) {
  return fail(Code::content_altered, "root record: {}", fmt::format(format, std::forward<Args>(args)...));
}

void write(ByteWriter& out, const Partition& partition) {
  out.u32(partition.number).u32(0).u64(partition.offset.bytes).u64(partition.length.bytes).raw(partition.type);
  out.u64(partition.flags);
}

void write(ByteWriter& out, const SegmentRef& segment) {
  out.raw(segment.id.digest).u64(segment.offset.bytes).u32(segment.records).u32(segment.spans);
  out.u32(segment.data_records).u32(segment.plain_size).u64(0);
}

Result<Partition> read_partition(ByteReader& in, TableKind table, std::uint32_t after) {
  Partition partition;
  partition.number = in.u32();
  const std::uint32_t reserved = in.u32();
  partition.offset = {in.u64()};
  partition.length = {in.u64()};
  partition.type = in.array<16>();
  partition.flags = in.u64();
  if (reserved != 0) return bad("reserved bytes of partition {} are not zero", partition.number);
  if (partition.number <= after) return bad("partition {} does not ascend", partition.number);
  if (partition.offset.bytes > kMaxDisk.bytes || partition.length > kMaxDisk)
    return bad("partition {} lies at an impossible place", partition.number);
  if (table == TableKind::mbr && (!all_zero(ByteView(partition.type).subspan(1)) || partition.flags > 1))
    return bad("partition {} is not an MBR one", partition.number);
  return partition;
}

Result<SegmentRef> read_segment(ByteReader& in) {
  SegmentRef segment;
  segment.id = {in.array<32>()};
  segment.offset = {in.u64()};
  segment.records = in.u32();
  segment.spans = in.u32();
  segment.data_records = in.u32();
  segment.plain_size = in.u32();
  if (in.u64() != 0) return bad("reserved bytes of a segment are not zero");
  if (segment.records == 0 || segment.records > kSegmentRecords) return bad("a segment of {} records", segment.records);
  if (segment.data_records > segment.records || segment.spans > segment.data_records ||
      (segment.data_records > 0) != (segment.spans > 0))
    return bad("a segment of {} records, {} of them data, in {} spans", segment.records, segment.data_records,
               segment.spans);
  if (segment.plain_size != kSegmentHead + kRecordEntry * segment.records)
    return bad("a segment of {} records in {} bytes", segment.records, segment.plain_size);
  return segment;
}

// Segments cover the disk from its start, in order; where each ends is seen when it is decoded.
Result<> check_order(const Root& root) {
  if (root.segments.empty() != (root.disk_size == Size{})) return bad("segments and disk size disagree");
  const Size grid = grid_of(root);
  Offset least;
  for (const SegmentRef& segment : root.segments) {
    const bool first = &segment == &root.segments.front();
    if (first ? segment.offset != Offset{} : segment.offset < least) return bad("segments out of order");
    if (segment.offset.bytes % grid.bytes != 0 || segment.offset.bytes >= root.disk_size.bytes)
      return bad("a segment at byte {} of {}", segment.offset.bytes, root.disk_size.bytes);
    // Each record but the disk's last is as long as that at least.
    least = segment.offset + grid * segment.records;
  }
  return {};
}

}  // namespace

Bytes encode(const Root& root) {
  ByteWriter out(kRootHead + kPartitionEntry * root.partitions.size() + kSegmentEntry * root.segments.size());
  out.raw(as_bytes(kMagic))
      .u16(kManifestVersion)
      .u16(root.off_grid ? kOffGridProfile : kCutterProfile)
      .u32(root.sector_size);
  out.u64(root.disk_size.bytes).u64(root.data_size.bytes);
  out.u32(static_cast<std::uint32_t>(root.segments.size())).u32(static_cast<std::uint32_t>(root.partitions.size()));
  out.u8(static_cast<std::uint8_t>(root.table)).raw(std::array<std::byte, 7>{});
  for (const Partition& partition : root.partitions) write(out, partition);
  for (const SegmentRef& segment : root.segments) write(out, segment);
  return out.take();
}

Result<Root> decode_root(ByteView bytes) {
  if (bytes.size() < kRootHead || bytes.size() > kMaxObject.bytes) return bad("{} bytes long", bytes.size());
  ByteReader in(bytes);
  if (as_text(in.view(kMagic.size())) != kMagic) return bad("not one");
  if (const auto version = in.u16(); version != kManifestVersion)
    return bad("version {} is unknown here; a newer stampede may read it", version);
  const auto profile = in.u16();
  if (profile != kCutterProfile && profile != kOffGridProfile)
    return bad("cutter profile {} is unknown here; a newer stampede may read it", profile);

  Root root;
  root.off_grid = profile == kOffGridProfile;
  root.sector_size = in.u32();
  root.disk_size = {in.u64()};
  root.data_size = {in.u64()};
  const std::uint64_t segments = in.u32();
  const std::uint64_t partitions = in.u32();
  const std::uint8_t table = in.u8();
  root.table = static_cast<TableKind>(table);
  if (!all_zero(in.view(7))) return bad("reserved bytes are not zero");
  if (root.sector_size != 512 && root.sector_size != 4096) return bad("sector size {}", root.sector_size);
  if (root.off_grid && root.sector_size != kSector.bytes) return bad("records between sectors");
  if (root.disk_size > kMaxDisk || root.data_size > root.disk_size) return bad("impossible sizes");
  if (table > static_cast<std::uint8_t>(TableKind::gpt)) return bad("table kind {}", table);
  if (partitions > kMaxPartitions || (root.table == TableKind::none && partitions > 0))
    return bad("{} partitions", partitions);
  if (in.left() != kPartitionEntry * partitions + kSegmentEntry * segments)
    return bad("{} bytes for {} partitions and {} segments", bytes.size(), partitions, segments);

  root.partitions.reserve(partitions);
  root.segments.reserve(segments);
  for (std::uint64_t i = 0; i < partitions; ++i) {
    const std::uint32_t after = i == 0 ? 0 : root.partitions.back().number;
    STAMPEDE_TRY(const Partition partition, read_partition(in, root.table, after));
    root.partitions.push_back(partition);
  }
  for (std::uint64_t i = 0; i < segments; ++i) {
    STAMPEDE_TRY(const SegmentRef segment, read_segment(in));
    root.segments.push_back(segment);
  }
  STAMPEDE_CHECK(check_order(root));
  return root;
}

}  // namespace stampede::chunker

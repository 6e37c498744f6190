#include <unordered_set>

#include "chunker/manifest.h"
#include "chunker/manifest_layout.h"

namespace stampede::chunker {

struct ManifestBuilder::State {
  SegmentSink sink;
  Root root;
  Segment open;
  std::size_t records = 0;  // in closed segments
  std::unordered_set<ChunkId> known;
  Digester digester;

  Result<> add(Record record);
  Result<> close();
};

Result<> ManifestBuilder::State::add(Record record) {
  if (record.length > kMaxDisk - root.disk_size) return fail(Code::usage, "the image is larger than 64 PiB");
  if (!is_at_sector(root.disk_size.bytes)) return fail(Code::internal, "a manifest record after the disk's unaligned end");
  const Offset at{root.disk_size.bytes};
  root.disk_size += record.length;
  // A full segment stays open until a record comes that its last one cannot take in.
  if (!open.records.empty() && open.records.back().kind == record.kind && !is_chunk(record.kind)) {
    open.records.back().length += record.length;
    return {};
  }
  if (open.records.size() == kSegmentRecords) STAMPEDE_CHECK(close());
  if (records + open.records.size() == kMaxManifestRecords)
    return fail(Code::usage, "the image has more than {} extents and chunks", kMaxManifestRecords);
  if (at.bytes % kBlock.bytes != 0) root.off_grid = true;
  if (open.records.empty()) open.offset = at;
  open.records.push_back(record);
  return {};
}

Result<> ManifestBuilder::State::close() {
  const Bytes bytes = encode(open);
  SegmentRef ref = describe(open);
  ref.id = digester.name(bytes).id();
  root.segments.push_back(ref);
  records += open.records.size();
  open.records.clear();
  return sink(ref.id, bytes);
}

ManifestBuilder::ManifestBuilder(std::uint32_t sector_size, SegmentSink sink) : state_(std::make_unique<State>()) {
  state_->root.sector_size = sector_size;
  state_->sink = std::move(sink);
  state_->open.records.reserve(kSegmentRecords);
}

ManifestBuilder::~ManifestBuilder() = default;

Result<> ManifestBuilder::add_chunk(const ChunkId& id, Size length) {
  if (length == Size{} || length > kMaxChunk) return fail(Code::internal, "a chunk of {} bytes", length.bytes);
  const bool first = state_->known.insert(id).second;
  state_->root.data_size += length;
  return state_->add({first ? RecordKind::data : RecordKind::repeat, length, id});
}

Result<> ManifestBuilder::add_extent(ExtentKind kind, Size length) {
  if (kind == ExtentKind::data) return fail(Code::internal, "a data extent without its chunks");
  if (length == Size{}) return {};
  return state_->add({kind == ExtentKind::zero ? RecordKind::zero : RecordKind::unspecified, length, {}});
}

Result<Root> ManifestBuilder::finish() {
  if (!state_->open.records.empty()) STAMPEDE_CHECK(state_->close());
  return std::move(state_->root);
}

}  // namespace stampede::chunker

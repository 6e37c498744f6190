#include "chunker/chunk_table.h"
#include "chunker/manifest_layout.h"
#include "chunker/package.h"
#include "chunker/seal.h"

namespace stampede::chunker {
namespace {

// What single segments cannot show: that together they are the disk which the root describes.
class Checker {
 public:
  // `manifest` grows a segment at a time.
  explicit Checker(const Manifest& manifest) : manifest_(manifest), known_(data_records(manifest.root)) {}

  // Its newest one.
  Result<> check_last() {
    const std::size_t index = manifest_.segments.size() - 1;
    const Segment& segment = manifest_.segments.back();
    const Root& root = manifest_.root;
    const Offset end = index + 1 < root.segments.size() ? root.segments[index + 1].offset : Offset{root.disk_size.bytes};
    if (end_of(segment) != end) return bad("a segment that ends elsewhere than the next begins");
    for (Offset at = segment.offset; const Record& record : segment.records) {
      if (at.bytes % grid_of(root).bytes != 0) return bad("a record between blocks, which its profile does not have");
      at += record.length;
    }
    if (!segment.records.empty() && segment.records.front().kind == last_ && !is_chunk(last_))
      return bad("extents that are not merged");
    for (std::size_t i = 0; i < segment.records.size(); ++i)
      if (is_chunk(segment.records[i].kind))
        STAMPEDE_CHECK(check_chunk(segment.records[i], static_cast<std::uint32_t>(index * kSegmentRecords + i)));
    last_ = segment.records.back().kind;
    return {};
  }

  Result<> finish() const {
    if (data_ != manifest_.root.data_size) return bad("another amount of data than it states");
    return {};
  }

 private:
  static std::size_t data_records(const Root& root) {
    std::size_t count = 0;
    for (const SegmentRef& ref : root.segments) count += ref.data_records;
    return count;
  }
  static std::unexpected<Error> bad(std::string_view what) {
    return fail(Code::content_altered, "the manifest has {}", what);
  }
  const Record& record(std::uint32_t number) const {
    return manifest_.segments[number / kSegmentRecords].records[number % kSegmentRecords];
  }

  Result<> check_chunk(const Record& chunk, std::uint32_t number) {
    const auto id_of = [this](std::uint32_t known) { return record(known).chunk; };
    data_ += chunk.length;
    const bool data = chunk.kind == RecordKind::data;
    const auto first = data ? known_.insert(chunk.chunk, number, id_of) : known_.find(chunk.chunk, id_of);
    if (!first || data != (*first == number)) return bad("a chunk that is not named first by a data record, and once");
    if (record(*first).length != chunk.length) return bad("a chunk of two lengths");
    return {};
  }

  const Manifest& manifest_;
  RecordKind last_ = RecordKind::data;  // nothing can wrongly follow it
  Size data_;
  ChunkTable known_;  // data records, by the number of their segment and in it
};

class Loader {
 public:
  explicit Loader(ChunkSource& source) : source_(source) {}

  Result<Bytes> load(const ChunkId& id) {
    STAMPEDE_TRY(const SealedChunk sealed, source_.get(id));
    if (sealed.plain_size > kMaxObject.bytes) return fail(Code::content_altered, "a record of {} bytes", sealed.plain_size);
    Bytes plain(sealed.plain_size);
    STAMPEDE_CHECK(opener_.open({id, sealed.codec, sealed.plain_size, sealed.bytes}, plain));
    return plain;
  }

  Result<Segment> segment(const SegmentRef& ref) {
    auto bytes = load(ref.id);
    // The root is here, so the image was stored: its segments must be here too.
    if (!bytes && bytes.error().code == Code::not_found) bytes.error().code = Code::store_damaged;
    if (!bytes) return pass(bytes.error());
    return decode_segment(*bytes, ref);
  }

 private:
  ChunkSource& source_;
  Opener opener_;
};

Result<> load_segments(Loader& loader, Manifest& manifest) {
  std::uint64_t records = 0;
  for (const SegmentRef& ref : manifest.root.segments) records += ref.records;
  if (records > kMaxManifestRecords)
    return fail(Code::content_altered, "the manifest has {} records, more than {}", records, kMaxManifestRecords);

  Checker checker(manifest);
  manifest.segments.reserve(manifest.root.segments.size());
  for (const SegmentRef& ref : manifest.root.segments) {
    STAMPEDE_TRY(Segment segment, loader.segment(ref));
    manifest.segments.push_back(std::move(segment));
    STAMPEDE_CHECK(checker.check_last());
  }
  return checker.finish();
}

Result<Manifest> load(ChunkSource& source, const ImageId& id, const AcceptRoot& accept) {
  Loader loader(source);
  STAMPEDE_TRY(const Bytes root, loader.load(as_chunk(id)));
  Manifest manifest{.id = id, .root = {}, .segments = {}};
  STAMPEDE_TRY(manifest.root, decode_root(root));
  if (accept) STAMPEDE_CHECK(accept(manifest.root));
  STAMPEDE_CHECK(load_segments(loader, manifest));
  return manifest;
}

}  // namespace

Result<Root> load_root(ChunkSource& source, const ImageId& id) {
  STAMPEDE_TRY(const Bytes root, Loader(source).load(as_chunk(id)));
  return decode_root(root);
}

Result<Segment> load_segment(ChunkSource& source, const SegmentRef& ref) { return Loader(source).segment(ref); }

Result<Manifest> load_manifest(ChunkSource& source, const ImageId& id, const AcceptRoot& accept) {
  auto manifest = load(source, id, accept);
  if (!manifest) return pass(manifest.error(), fmt::format("loading image {}", to_string(id)));
  return manifest;
}

}  // namespace stampede::chunker

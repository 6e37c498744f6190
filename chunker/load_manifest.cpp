#include <unordered_map>

#include "chunker/manifest_layout.h"
#include "chunker/package.h"
#include "chunker/seal.h"

namespace stampede::chunker {
namespace {

// What single segments cannot show: that together they are the disk which the root describes.
class Checker {
 public:
  explicit Checker(const Root& root) : root_(root) {}

  Result<> add(const Segment& segment) {
    const SegmentRef* const after = next_ + 1 < root_.segments.size() ? &root_.segments[next_ + 1] : nullptr;
    ++next_;
    const Offset end = after != nullptr ? after->offset : Offset{root_.disk_size.bytes};
    if (end_of(segment) != end) return bad("a segment that ends elsewhere than the next begins");
    if (!segment.records.empty() && segment.records.front().kind == last_ && !is_chunk(last_))
      return bad("extents that are not merged");
    for (const Record& record : segment.records)
      if (is_chunk(record.kind)) STAMPEDE_CHECK(add_chunk(record));
    last_ = segment.records.back().kind;
    return {};
  }

  Result<> finish() const {
    if (data_ != root_.data_size) return bad("another amount of data than it states");
    return {};
  }

 private:
  static std::unexpected<Error> bad(std::string_view what) {
    return fail(Code::content_altered, "the manifest has {}", what);
  }

  Result<> add_chunk(const Record& record) {
    data_ += record.length;
    const auto [known, first] = lengths_.try_emplace(record.chunk, static_cast<std::uint32_t>(record.length.bytes));
    if (first != (record.kind == RecordKind::data)) return bad("a chunk that is not named first by a data record, and once");
    if (known->second != record.length.bytes) return bad("a chunk of two lengths");
    return {};
  }

  const Root& root_;
  std::size_t next_ = 0;
  RecordKind last_ = RecordKind::data;  // nothing can wrongly follow it
  Size data_;
  std::unordered_map<ChunkId, std::uint32_t> lengths_;
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

 private:
  ChunkSource& source_;
  Opener opener_;
};

Result<> load_segments(Loader& loader, Manifest& manifest) {
  std::uint64_t records = 0;
  for (const SegmentRef& ref : manifest.root.segments) records += ref.records;
  if (records > kMaxManifestRecords)
    return fail(Code::content_altered, "the manifest has {} records, more than {}", records, kMaxManifestRecords);

  Checker checker(manifest.root);
  manifest.segments.reserve(manifest.root.segments.size());
  for (const SegmentRef& ref : manifest.root.segments) {
    auto bytes = loader.load(ref.id);
    // The root is here, so the image was stored: its segments must be here too.
    if (!bytes && bytes.error().code == Code::not_found) bytes.error().code = Code::store_damaged;
    if (!bytes) return pass(bytes.error());
    STAMPEDE_TRY(Segment segment, decode_segment(*bytes, ref));
    STAMPEDE_CHECK(checker.add(segment));
    manifest.segments.push_back(std::move(segment));
  }
  return checker.finish();
}

Result<Manifest> load(ChunkSource& source, const ImageId& id) {
  Loader loader(source);
  STAMPEDE_TRY(const Bytes root, loader.load(as_chunk(id)));
  Manifest manifest{.id = id, .root = {}, .segments = {}};
  STAMPEDE_TRY(manifest.root, decode_root(root));
  STAMPEDE_CHECK(load_segments(loader, manifest));
  return manifest;
}

}  // namespace

Result<Manifest> load_manifest(ChunkSource& source, const ImageId& id) {
  auto manifest = load(source, id);
  if (!manifest) return pass(manifest.error(), fmt::format("loading image {}", to_string(id)));
  return manifest;
}

}  // namespace stampede::chunker

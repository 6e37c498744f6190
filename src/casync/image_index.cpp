#include "src/casync/image_index.h"

#include <algorithm>

#include "src/casync/zeros.h"

namespace stampede::casync {

using chunker::RecordKind;

namespace {
bool is_chunk(RecordKind kind) { return kind == RecordKind::data || kind == RecordKind::repeat; }
}  // namespace

Result<ImageCuts> ImageCuts::open(chunker::ChunkSource& source, const chunker::ImageId& image) {
  ImageCuts cuts(source);
  STAMPEDE_TRY(const Bytes record, cuts.load(chunker::as_chunk(image)));
  STAMPEDE_TRY(cuts.root_, chunker::decode_root(record));
  return cuts;
}

Result<Bytes> ImageCuts::load(const chunker::ChunkId& id) {
  STAMPEDE_TRY(const chunker::SealedChunk sealed, source_->get(id));
  if (sealed.plain_size > chunker::kMaxObject.bytes)
    return fail(Code::content_altered, "a manifest's record of {} bytes", sealed.plain_size);
  Bytes plain(sealed.plain_size);
  STAMPEDE_CHECK(opener_->open({id, sealed.codec, sealed.plain_size, sealed.bytes}, plain));
  return plain;
}

// False: there is none.
Result<bool> ImageCuts::next_segment() {
  const bool whole = segments_ == root_.segments.size();
  const Offset begins = whole ? Offset{root_.disk_size.bytes} : root_.segments[segments_].offset;
  if (at_ != begins)
    return fail(Code::content_altered, "the manifest's segment {} does not follow the one before", segments_);
  if (whole) return false;
  const chunker::SegmentRef& ref = root_.segments[segments_++];
  auto record = load(ref.id);
  // The root is here, so the image was stored: its segments must be here too.
  if (!record && record.error().code == Code::not_found) record.error().code = Code::store_damaged;
  if (!record) return pass(std::move(record).error());
  STAMPEDE_TRY(segment_, chunker::decode_segment(*record, ref));
  record_ = 0;
  return true;
}

Result<std::optional<Cut>> ImageCuts::next() {
  while (record_ == segment_.records.size()) {
    STAMPEDE_TRY(const bool more, next_segment());
    if (!more) return std::nullopt;
  }
  const chunker::Record& record = segment_.records[record_];
  Cut cut{at_, record.length, record.chunk};
  if (!is_chunk(record.kind)) {
    const Size piece = zero_piece(record.length - given_);
    cut = {at_, piece, zero_id(piece), true};
    given_ += piece;
  }
  at_ += cut.length;
  if (!cut.zero || given_ == record.length) {
    ++record_;
    given_ = {};
  }
  return cut;
}

Result<> ImageCuts::seek(Offset offset) {
  const auto after = std::ranges::upper_bound(root_.segments, offset, {}, &chunker::SegmentRef::offset);
  if (after == root_.segments.begin()) return {};
  segments_ = static_cast<std::size_t>(after - root_.segments.begin()) - 1;
  at_ = root_.segments[segments_].offset;
  STAMPEDE_TRY(const bool more, next_segment());
  given_ = {};
  while (more && record_ < segment_.records.size() && at_ + segment_.records[record_].length <= offset)
    at_ += segment_.records[record_++].length;
  if (record_ < segment_.records.size() && !is_chunk(segment_.records[record_].kind)) {
    given_ = {round_down((offset - at_).bytes, chunker::kMaxChunk.bytes)};
    at_ += given_;
  }
  return {};
}

Result<std::uint64_t> ImageCuts::count(chunker::ChunkSource& source, const chunker::ImageId& image) {
  STAMPEDE_TRY(auto cuts, open(source, image));
  std::uint64_t count = 0;
  while (true) {
    STAMPEDE_TRY(const bool more, cuts.next_segment());
    if (!more) return count;
    for (const chunker::Record& record : cuts.segment_.records) {
      count += is_chunk(record.kind) ? 1 : zero_pieces(record.length);
      cuts.at_ += record.length;
    }
    if (count > kMaxChunks)
      return fail(Code::usage, "image {} has more than the {} chunks of a casync index", to_string(image), kMaxChunks);
  }
}

Result<IndexStream> IndexStream::open(chunker::ChunkSource& source, const chunker::ImageId& image, std::uint64_t chunks) {
  STAMPEDE_TRY(auto cuts, ImageCuts::open(source, image));
  return IndexStream(std::move(cuts), chunks);
}

Result<Bytes> IndexStream::next() {
  ByteWriter out(kPart.bytes);
  if (!std::exchange(begun_, true)) encode_head(out, {});
  while (!ended_ && out.size() + kItemSize + kTailSize <= kPart.bytes) {
    STAMPEDE_TRY(const auto cut, cuts_.next());
    if (cut) {
      encode_item(out, cut->offset + cut->length, cut->id.digest);
      ++written_;
      continue;
    }
    if (written_ != chunks_) return fail(Code::content_altered, "{} chunks, not {}", written_, chunks_);
    encode_tail(out, chunks_);
    ended_ = true;
  }
  return out.take();
}

}  // namespace stampede::casync

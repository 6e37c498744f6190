#include "chunker/image_blocks.h"

#include <algorithm>

#include "chunker/manifest_layout.h"

namespace stampede::chunker {

ImageBlocks::ImageBlocks(const Manifest& manifest, ChunkSource& source) : manifest_(manifest), source_(source) {
  begins_.reserve(manifest.segments.size());
  for (const Segment& segment : manifest.segments) {
    auto& begins = begins_.emplace_back();
    begins.reserve(segment.records.size());
    Offset at = segment.offset;
    for (const Record& record : segment.records) {
      begins.push_back(at);
      at += record.length;
    }
  }
}

ImageBlocks::Piece ImageBlocks::at(Offset offset) const {
  // A manifest covers its disk without a gap, and no segment of it is empty.
  const auto segment = std::ranges::upper_bound(manifest_.segments, offset, {}, &Segment::offset) - 1;
  const auto& begins = begins_[static_cast<std::size_t>(segment - manifest_.segments.begin())];
  const auto begin = std::ranges::upper_bound(begins, offset) - 1;
  return {&segment->records[static_cast<std::size_t>(begin - begins.begin())], *begin};
}

ImageBlocks::Place ImageBlocks::place(Offset offset) const {
  const auto [record, begin] = at(offset);
  const Size within = offset - begin;
  return {is_chunk(record->kind) ? &record->chunk : nullptr, within, record->length - within};
}

Result<> ImageBlocks::read(Offset offset, MutableBytes out) {
  if (offset.bytes > size().bytes || out.size() > size().bytes - offset.bytes)
    return fail(Code::read_failed, "the image ends at byte {}", size().bytes);
  while (!out.empty()) {
    const auto [record, begin] = at(offset);
    const std::size_t skip = (offset - begin).bytes;
    const std::size_t part = std::min<std::size_t>(record->length.bytes - skip, out.size());
    if (is_chunk(record->kind)) {
      STAMPEDE_TRY(const ByteView bytes, plain(*record));
      std::ranges::copy(bytes.subspan(skip, part), out.begin());
    } else {
      std::ranges::fill(out.first(part), std::byte{0});
    }
    offset += Size{part};
    out = out.subspan(part);
  }
  return {};
}

Result<> ImageBlocks::write(Offset, ByteView) { return fail(Code::read_only, "an image is not written"); }

Result<ByteView> ImageBlocks::plain(const Record& record) {
  if (const auto found = cached_.find(record.chunk); found != cached_.end()) {
    recent_.splice(recent_.begin(), recent_, found->second);
    return recent_.front().bytes;
  }
  STAMPEDE_TRY(const SealedChunk sealed, source_.get(record.chunk));
  Bytes bytes(record.length.bytes);
  const UntrustedChunk untrusted{record.chunk, sealed.codec, static_cast<std::uint32_t>(bytes.size()), sealed.bytes};
  STAMPEDE_CHECK(opener_.open(untrusted, bytes));
  if (recent_.size() == kCachedChunks) {
    cached_.erase(recent_.back().id);
    recent_.pop_back();
  }
  recent_.push_front({record.chunk, std::move(bytes)});
  cached_.emplace(record.chunk, recent_.begin());
  return recent_.front().bytes;
}

}  // namespace stampede::chunker

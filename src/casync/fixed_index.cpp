#include "src/casync/fixed_index.h"

#include <algorithm>

#include "src/casync/zeros.h"

namespace stampede::casync {
namespace {

constexpr std::uint64_t kPiece = kFixedPiece.bytes;

// The plain bytes of cuts, whichever they are.
class CutReader {
 public:
  explicit CutReader(chunker::ChunkSource& source) : source_(source) {}
  // Of a cut that is not zeros; they stay until the next one is read.
  Result<ByteView> read(const Cut& cut) {
    plain_.resize(cut.length.bytes);
    STAMPEDE_TRY(const chunker::SealedChunk sealed, source_.get(cut.id));
    if (sealed.plain_size != plain_.size())
      return fail(Code::content_altered, "chunk {} has {} bytes, not {}", to_string(cut.id), sealed.plain_size,
                  plain_.size());
    STAMPEDE_TRY(const auto chunk, opener_.open({cut.id, sealed.codec, sealed.plain_size, sealed.bytes}, plain_));
    return chunk.bytes();
  }

 private:
  chunker::ChunkSource& source_;
  chunker::Opener opener_;
  Bytes plain_;
};

}  // namespace

Size FixedIndex::length_of(std::uint64_t number) const { return std::min(kFixedPiece, disk_ - Size{number * kPiece}); }

std::uint64_t FixedIndex::count() const { return (disk_.bytes + kPiece - 1) / kPiece; }

void FixedIndex::add(std::uint64_t number, ByteView bytes) {
  // The last one may be as long as no piece of zeros is.
  if (bytes.size() == kPiece && all_zero(bytes)) return;
  data_.push_back({static_cast<std::uint32_t>(number), {chunker::sha256(bytes)}});
}

void FixedIndex::finish() {
  by_id_ = chunker::ChunkTable(data_.size());
  const auto id_of = [this](std::uint32_t at) { return data_[at].id; };
  for (std::uint32_t at = 0; at < data_.size(); ++at) by_id_.insert(data_[at].id, at, id_of);
}

Result<FixedIndex> FixedIndex::make(chunker::ChunkSource& source, const chunker::ImageId& image,
                                    const std::function<bool()>& interrupted) {
  STAMPEDE_TRY(auto cuts, ImageCuts::open(source, image));
  FixedIndex index(image, cuts.root().disk_size);
  if (index.count() > kMaxChunks) return fail(Code::usage, "image {} is too large for an index of pieces", to_string(image));
  CutReader reader(source);
  Bytes piece;  // begun
  std::uint64_t number = 0;
  const auto take = [&](ByteView bytes) {
    while (!bytes.empty()) {
      const ByteView part = bytes.first(std::min<std::size_t>(bytes.size(), kPiece - piece.size()));
      piece.insert(piece.end(), part.begin(), part.end());
      bytes = bytes.subspan(part.size());
      if (piece.size() < index.length_of(number).bytes) return;
      index.add(number++, piece);
      piece.clear();
    }
  };
  const Bytes zeros(chunker::kMaxChunk.bytes);
  while (true) {
    if (interrupted && interrupted()) return fail(Code::interrupted, "interrupted by a signal");
    if (index.data_.size() > kMaxFixedPieces)
      return fail(Code::usage, "image {} has more than {} pieces of data", to_string(image), kMaxFixedPieces);
    STAMPEDE_TRY(const auto cut, cuts.next());
    if (!cut) break;
    if (cut->zero && piece.empty() && cut->length.bytes % kPiece == 0) {
      number += cut->length.bytes / kPiece;
    } else if (cut->zero) {
      take(ByteView(zeros).first(cut->length.bytes));
    } else {
      STAMPEDE_TRY(const ByteView bytes, reader.read(*cut));
      take(bytes);
    }
  }
  index.finish();
  return index;
}

Bytes FixedIndex::part(std::uint64_t first, std::uint64_t most) const {
  ByteWriter out;
  if (first == 0) encode_head(out, {.least = kFixedPiece, .mean = kFixedPiece, .greatest = kFixedPiece});
  const std::uint64_t end = std::min(count(), first + most);
  auto data = std::ranges::lower_bound(data_, first, {}, &Piece::number);
  for (std::uint64_t number = first; number < end; ++number) {
    const bool has_data = data != data_.end() && data->number == number;
    encode_item(out, Offset{number * kPiece} + length_of(number), (has_data ? data->id : zero_id(kFixedPiece)).digest);
    if (has_data) ++data;
  }
  if (end == count()) encode_tail(out, count());
  return out.take();
}

std::optional<std::uint32_t> FixedIndex::find(const chunker::ChunkId& id) const {
  const auto at = by_id_.find(id, [this](std::uint32_t each) { return data_[each].id; });
  return at ? std::optional(data_[*at].number) : std::nullopt;
}

Result<Bytes> FixedIndex::read(chunker::ChunkSource& source, std::uint32_t piece) const {
  const Offset begin{piece * kPiece};
  Bytes bytes(length_of(piece).bytes);
  const Offset end = begin + Size{bytes.size()};
  STAMPEDE_TRY(auto cuts, ImageCuts::open(source, image_));
  STAMPEDE_CHECK(cuts.seek(begin));
  CutReader reader(source);
  while (true) {
    STAMPEDE_TRY(const auto cut, cuts.next());
    if (!cut || cut->offset >= end) break;
    if (cut->zero) continue;
    STAMPEDE_TRY(const ByteView plain, reader.read(*cut));
    const Offset from = std::max(begin, cut->offset), to = std::min(end, cut->offset + cut->length);
    std::ranges::copy(plain.subspan((from - cut->offset).bytes, (to - from).bytes),
                      bytes.begin() + static_cast<std::ptrdiff_t>((from - begin).bytes));
  }
  return bytes;
}

}  // namespace stampede::casync

#include "src/casync/zeros.h"

#include <unordered_map>
#include <vector>

#include "chunker/digest.h"

namespace stampede::casync {
namespace {

constexpr std::uint64_t kBlock = chunker::kBlock.bytes;
constexpr std::uint64_t kMax = chunker::kMaxChunk.bytes;

// Pieces are numbered: 1 … 4095 by their bytes, then whole blocks.
std::size_t number_of(Size piece) { return piece.bytes < kBlock ? piece.bytes : kBlock - 1 + piece.bytes / kBlock; }
Size piece_of(std::size_t number) { return {number < kBlock ? number : (number - kBlock + 1) * kBlock}; }
constexpr std::size_t kPieces = kBlock + kMax / kBlock;

struct Table {
  Table() : ids(kPieces) {
    const Bytes zeros(kMax);
    for (std::size_t number = 1; number < kPieces; ++number) {
      ids[number] = {chunker::sha256(ByteView(zeros).first(piece_of(number).bytes))};
      sizes.emplace(ids[number], piece_of(number));
    }
  }
  std::vector<chunker::ChunkId> ids;
  std::unordered_map<chunker::ChunkId, Size> sizes;
};

const Table& table() {
  static const Table made;
  return made;
}

}  // namespace

Size zero_piece(Size run) {
  if (run >= chunker::kMaxChunk) return chunker::kMaxChunk;
  return {run.bytes < kBlock ? run.bytes : round_down(run.bytes, kBlock)};
}

std::uint64_t zero_pieces(Size run) {
  const std::uint64_t rest = run.bytes % kMax;
  return run.bytes / kMax + (rest >= kBlock ? 1 : 0) + (rest % kBlock > 0 ? 1 : 0);
}

const chunker::ChunkId& zero_id(Size piece) { return table().ids[number_of(piece)]; }

std::optional<Size> zero_size(const chunker::ChunkId& id) {
  const auto found = table().sizes.find(id);
  return found == table().sizes.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace stampede::casync

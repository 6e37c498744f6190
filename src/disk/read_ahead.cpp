#include "src/disk/read_ahead.h"

#include <algorithm>
#include <cstring>

namespace stampede::disk {

Result<ReadAhead::Piece*> ReadAhead::piece_at(Offset at) {
  const Offset from{round_down(at.bytes, kPiece.bytes)};
  auto piece = std::ranges::find(pieces_, from, &Piece::at);
  if (piece == pieces_.end()) {
    Piece fresh{from, Bytes(std::min(kPiece, disk_.size() - Size{from.bytes}).bytes)};
    STAMPEDE_CHECK(disk_.read(from, fresh.bytes));
    if (pieces_.size() < kPieces)
      piece = pieces_.insert(pieces_.end(), std::move(fresh));
    else
      *(piece = std::ranges::min_element(pieces_, {}, &Piece::used)) = std::move(fresh);
  }
  piece->used = ++uses_;
  return &*piece;
}

Result<> ReadAhead::read(Offset at, MutableBytes out) {
  const bool inside = at.bytes <= disk_.size().bytes && out.size() <= disk_.size().bytes - at.bytes;
  if (!inside || out.size() >= kPiece.bytes) return disk_.read(at, out);
  while (!out.empty()) {
    const auto piece = piece_at(at);
    if (!piece) return disk_.read(at, out);  // it may be a neighbour that cannot be read
    const std::size_t skip = (at - (*piece)->at).bytes;
    const std::size_t size = std::min(out.size(), (*piece)->bytes.size() - skip);
    std::memcpy(out.data(), (*piece)->bytes.data() + skip, size);
    out = out.subspan(size);
    at += Size{size};
  }
  return {};
}

Result<> ReadAhead::write(Offset at, ByteView bytes) {
  auto written = disk_.write(at, bytes);
  if (!written) forget();  // who knows how much of it
  const Offset end = at + Size{bytes.size()};
  for (Piece& piece : pieces_) {
    const Offset from = std::max(at, piece.at), to = std::min(end, piece.end());
    if (from < to)
      std::memcpy(piece.bytes.data() + (from - piece.at).bytes, bytes.data() + (from - at).bytes, (to - from).bytes);
  }
  return written;
}

}  // namespace stampede::disk

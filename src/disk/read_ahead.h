// A disk that is read in small pieces: file systems are looked through block by block, and with O_DIRECT each block is a
// round trip. So the blocks around it come too, and stay for a while.
//
// Not thread-safe. Memory: kPieces × kPiece.
#pragma once

#include <vector>

#include "src/disk/raw_disk.h"

namespace stampede::disk {

class ReadAhead {
 public:
  static constexpr Size kPiece = 64_KiB;
  static constexpr std::size_t kPieces = 32;

  // `disk` outlives it.
  explicit ReadAhead(RawDisk& disk) : disk_(disk) {}

  // As RawDisk::read.
  Result<> read(Offset at, MutableBytes out);
  // Whoever writes what may have been read goes through here.
  Result<> write(Offset at, ByteView bytes);
  // From now on everything comes from the disk again.
  void forget() { pieces_.clear(); }

 private:
  struct Piece {
    Offset at;
    Bytes bytes;
    std::uint64_t used = 0;
    Offset end() const { return at + Size{bytes.size()}; }
  };
  Result<Piece*> piece_at(Offset at);

  RawDisk& disk_;
  std::vector<Piece> pieces_;
  std::uint64_t uses_ = 0;
};

}  // namespace stampede::disk

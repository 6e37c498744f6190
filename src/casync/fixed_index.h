// The casync index of an image of ours in pieces of one size, for clients that have an older image as a seed: casync cuts a
// seed by the sizes that the index states, and where least, mean and greatest are one it cuts there, so what stands at the
// same place in both is found. (Our own chunks it cannot find: it does not know where we cut.)
//
// The pieces' ids are not known before all of the image has been read and hashed, once; nothing is written. Thread-safe,
// once made. Memory: about 50 bytes for each piece that holds data.
#pragma once

#include <functional>
#include <vector>

#include "chunker/chunk_table.h"
#include "src/casync/image_index.h"

namespace stampede::casync {

inline constexpr Size kFixedPiece = 64_KiB;
inline constexpr std::size_t kMaxFixedPieces = std::size_t{1} << 21;  // with data: 128 GiB of it

class FixedIndex {
 public:
  // Errors: as of ImageCuts; usage, where there are more pieces than that; interrupted.
  static Result<FixedIndex> make(chunker::ChunkSource& source, const chunker::ImageId& image,
                                 const std::function<bool()>& interrupted);

  const chunker::ImageId& image() const { return image_; }
  std::size_t pieces_with_data() const { return data_.size(); }
  std::uint64_t count() const;
  std::uint64_t size() const { return index_size(count()); }

  // The index itself, from that piece on: `most` pieces at the most, and after the last one its end.
  Bytes part(std::uint64_t first, std::uint64_t most) const;

  // Which piece has the id, if one with data has.
  std::optional<std::uint32_t> find(const chunker::ChunkId& id) const;
  // Its bytes, verified. Errors: as of ImageCuts.
  Result<Bytes> read(chunker::ChunkSource& source, std::uint32_t piece) const;

 private:
  struct Piece {
    std::uint32_t number = 0;
    chunker::ChunkId id;
  };

  FixedIndex(const chunker::ImageId& image, Size disk) : image_(image), disk_(disk) {}
  Size length_of(std::uint64_t number) const;
  void add(std::uint64_t number, ByteView bytes);
  void finish();

  chunker::ImageId image_;
  Size disk_;
  std::vector<Piece> data_;  // by number; the others are zeros
  chunker::ChunkTable by_id_;
};

}  // namespace stampede::casync

// An image of a store as a disk that can be read at any place: for libraries that read file systems. What the image leaves
// unspecified reads as zeros. Every byte comes from a chunk whose SHA-256 was right.
//
// Not thread-safe. Memory: 8 bytes for each record of the manifest, and kCachedChunks chunks, 32 MiB at most.
#pragma once

#include <list>
#include <unordered_map>
#include <vector>

#include "chunker/manifest.h"
#include "chunker/seal.h"
#include "chunker/source.h"
#include "src/volume/block_access.h"

namespace stampede::chunker {

inline constexpr std::size_t kCachedChunks = 128;

class ImageBlocks final : public volume::BlockAccess {
 public:
  // Both outlive it.
  ImageBlocks(const Manifest& manifest, ChunkSource& source);

  Size size() const override { return manifest_.root.disk_size; }
  // Errors: read_failed past the end; those of the source; content_altered.
  Result<> read(Offset offset, MutableBytes out) override;
  Result<> write(Offset offset, ByteView bytes) override;  // read_only
  Result<> flush() override { return {}; }

  // What is at a place of the disk: from there on for `left` bytes the bytes of one chunk, from `within` on; zeros (null)
  // else.
  struct Place {
    const ChunkId* chunk = nullptr;
    Size within, left;
  };
  // Before the end of the disk.
  Place place(Offset offset) const;

 private:
  // A record, and where on the disk it begins.
  struct Piece {
    const Record* record = nullptr;
    Offset begin;
  };
  // The one that covers a byte of the disk.
  Piece at(Offset offset) const;
  Result<ByteView> plain(const Record& record);

  const Manifest& manifest_;
  ChunkSource& source_;
  Opener opener_;
  std::vector<std::vector<Offset>> begins_;  // of each segment's records
  struct Cached {
    ChunkId id;
    Bytes bytes;
  };
  std::list<Cached> recent_;  // the latest first
  std::unordered_map<ChunkId, std::list<Cached>::iterator> cached_;
};

}  // namespace stampede::chunker

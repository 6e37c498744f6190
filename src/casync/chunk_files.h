// The chunks of somebody's casync store: a folder or a web server's, in whatever form they are kept there.
//
//   <store>/1f2e/1f2e….cacnk   packed: zstd, xz or gzip, told apart by their first bytes
//   <store>/1f2e/1f2e…         as they are (desync's uncompressed stores)
//   <store>/1f2e/1f2e….xz      packed (casync before version 2)
#pragma once

#include <optional>

#include "chunker/seal.h"
#include "src/casync/index.h"
#include "src/casync/remote.h"

namespace stampede::casync {

// A chunk file's bytes, and where they came from.
struct Stored {
  Bytes bytes;
  std::string from;
  bool packed = true;
};

// One per thread.
class ChunkFiles {
 public:
  // `store`: a folder's path or an http:// or https:// address.
  ChunkFiles(std::string store, std::function<bool()> interrupted);

  // The chunk's bytes, `out` wholly: got, unpacked and compared with its id. Errors, which name the chunk and the file or
  // address: not_found, content_altered, unreachable, read_failed, interrupted.
  Result<> read(const Chunk& chunk, Hash hash, MutableBytes out);

 private:
  Result<Stored> find(const Id& id, Size most);
  Result<Bytes> get(const std::string& location, Size most);

  const std::string store_;
  std::optional<Remote> remote_;
  chunker::Opener opener_;
  std::size_t form_ = 0;  // in which the last one was there
};

// What a chunk file holds. Error: content_altered; also where that is not exactly as long as `out`, nothing beyond is kept.
Result<> unpack_chunk(ByteView file, chunker::Opener& opener, MutableBytes out);

Id id_of(Hash hash, ByteView bytes);

}  // namespace stampede::casync

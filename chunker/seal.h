// Seals: a chunk as one zstd frame, or raw where that would not be smaller. zstd's only home.
#pragma once

#include <memory>

#include "chunker/digest.h"
#include "chunker/types.h"
#include "src/base/error.h"

namespace stampede::chunker {

// Of images: packaged once and sent often. Against level 1 it saves 4 % for half as much again of a processor's time, which
// an import of data that is new mostly spends elsewhere; the levels above it cost more than they save (bench/dedup
// --cutters).
inline constexpr int kDefaultLevel = 3;
// For who waits.
inline constexpr int kQuickLevel = 1;
// Nothing is compressed: that saves what takes most of a local deployment's processor time, for three times the space.
inline constexpr int kRawLevel = 0;

// Compresses. Holds a zstd context of some MiB: one per thread.
class Sealer {
 public:
  explicit Sealer(int level = kDefaultLevel);
  ~Sealer();
  Sealer(Sealer&&) noexcept;
  SealedChunk seal(const VerifiedChunk& chunk);

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// Opens and verifies. One per thread.
class Opener {
 public:
  Opener();
  ~Opener();
  Opener(Opener&&) noexcept;
  // Decompresses into `out` (at least plain_size bytes; the result points into it) and verifies. The frame's own content
  // size is checked against plain_size before decompressing. Errors: content_altered.
  Result<VerifiedChunk> open(const UntrustedChunk& chunk, MutableBytes out);
  // Many, one after another into `out`, which has room for all: their hashing is quicker together (Digester::Many). All are
  // decompressed before any is compared with its id: errors of that come first.
  Result<std::vector<VerifiedChunk>> open(std::span<const UntrustedChunk> chunks, MutableBytes out);
  // Decompresses a zstd frame of others', which need not say how much it holds: `out` is to be filled wholly, and is all the
  // memory that it takes. What comes out is not verified. Error: content_altered.
  Result<> open_frame(ByteView frame, MutableBytes out);

 private:
  Result<ByteView> decompress(const UntrustedChunk& chunk, MutableBytes out);
  struct Context;
  std::unique_ptr<Context> context_;
};

// A zstd frame (RFC 8878) around bytes as they are, for those who know no raw seals: nothing is compressed. Also of zeros,
// in a few bytes. Sizes: 1 … kMaxObject.
Bytes raw_frame(ByteView plain);
Bytes zero_frame(Size plain);

}  // namespace stampede::chunker

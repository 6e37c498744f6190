// Seals: a chunk as one zstd frame, or raw where that would not be smaller. zstd's only home.
#pragma once

#include <memory>

#include "chunker/digest.h"
#include "chunker/types.h"
#include "src/base/error.h"

namespace stampede::chunker {

inline constexpr int kDefaultLevel = 1;

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

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace stampede::chunker

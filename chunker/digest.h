// SHA-256 through OpenSSL's EVP (SHA-NI where the CPU has it): the only maker of VerifiedChunk.
#pragma once

#include <memory>

#include "chunker/types.h"
#include "src/base/error.h"

namespace stampede::chunker {

Sha256 sha256(ByteView bytes);
// For bytes that are not ours: casync's name for a chunk (FIPS 180-4, with initial values of its own).
std::array<std::byte, 32> sha512_256(ByteView bytes);

// Names and verifies chunks. Holds a hashing context, so keep one per thread.
class Digester {
 public:
  Digester();
  ~Digester();
  Digester(Digester&&) noexcept;
  Digester& operator=(Digester&&) noexcept;

  // For bytes that we read ourselves: their id is what they hash to.
  VerifiedChunk name(ByteView plain);
  // For bytes that claim an id. Error: content_altered.
  Result<VerifiedChunk> verify(const ChunkId& claimed, ByteView plain);

  // Incremental hashing of what does not fit one view (export, read-back).
  void start();
  void add(ByteView bytes);
  Sha256 finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace stampede::chunker

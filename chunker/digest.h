// SHA-256 through OpenSSL's EVP (SHA-NI where the CPU has it): the only maker of VerifiedChunk.
//
// What is stored is named by EVP. Whether bytes are a chunk that has a name already may be found out side by side
// (multi_buffer.h), twice as fast or more: a wrong digest is nobody's name, and refuses bytes that were right; another
// chunk's it is only where digests change places, which is tried before a process relies on it.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "chunker/types.h"
#include "src/base/error.h"

namespace stampede::chunker {

class MultiBufferSha256;

Sha256 sha256(ByteView bytes);
// For bytes that are not ours: casync's name for a chunk (FIPS 180-4, with initial values of its own).
std::array<std::byte, 32> sha512_256(ByteView bytes);

// Names and verifies chunks. Holds a hashing context, so keep one per thread; once it has named several at once, 200 KiB
// (MultiBufferSha256).
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
  // Names many, in their order, side by side: to find out whether they are chunks that have a name, and not to give them
  // one.
  std::vector<VerifiedChunk> recognise(std::span<const ByteView> plain);

  // The same of chunks that are being made, so that each is hashed while it is in the processor's cache. The digester is
  // taken until it ends.
  class Many {
   public:
    Many(Digester& digester, std::size_t most);
    ~Many();
    Many(const Many&) = delete;
    Many& operator=(const Many&) = delete;
    // At once, or beside those that come next: the bytes stay where they are until finish(). No more than `most`.
    void add(ByteView plain);
    std::vector<VerifiedChunk> finish();

   private:
    Digester& digester_;
    MultiBufferSha256* const many_;
    std::vector<VerifiedChunk> chunks_;  // never moved: digests are written into them
    std::vector<std::size_t> waiting_;   // until they are enough to be worth it
    bool running_ = false;
  };

  // Incremental hashing of what does not fit one view (export, read-back).
  void start();
  void add(ByteView bytes);
  Sha256 finish();

 private:
  MultiBufferSha256* multi_buffer();  // null: there is none
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace stampede::chunker

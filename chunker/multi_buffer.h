// SHA-256 of several runs of bytes side by side (multi-buffer hashing: Gueron and Krasnov, "Simultaneous hashing of multiple
// messages", 2012), by Intel's ipsec-mb. One stream cannot fill a core, as each round waits for the one before: with the SHA
// instructions two streams are twice as fast (3.5 GB/s a core, OpenSSL 1.8), and processors without them hash sixteen in
// AVX-512's lanes (2.4 GB/s, OpenSSL 0.3).
//
// Debian has ipsec-mb for amd64 alone. Its job interface promises no more than 64 KiB a run, as jobs of its ciphers go; its
// SHA-256 counts in 64 bits, and the check of that bound can be left out. So it is not believed but asked: before a process
// uses it, runs of up to kMaxChunk must have the digests that OpenSSL says, in as many lanes as were meant. Else nothing of
// it is used.
#pragma once

#include <memory>

#include "chunker/types.h"

namespace stampede::chunker {

// Keeps kMemory: one per thread, made when it is first needed.
class MultiBufferSha256 {
 public:
  static constexpr Size kMemory = 200_KiB;
  enum class Lanes : std::uint8_t { sha_extensions, avx512, avx2 };

  // The fastest that is right on this machine; null where there is none.
  static std::unique_ptr<MultiBufferSha256> best();
  // Null where the processor or the build has it not, or its digests are wrong.
  static std::unique_ptr<MultiBufferSha256> with(Lanes lanes);

  ~MultiBufferSha256();
  MultiBufferSha256(const MultiBufferSha256&) = delete;
  MultiBufferSha256& operator=(const MultiBufferSha256&) = delete;

  // For fewer than this it is slower than one after the other.
  std::size_t fewest() const;
  // Of 1 byte to kMaxChunk. `bytes` and `digest` stay where they are until finish(), after which all digests are there.
  void add(ByteView bytes, Sha256& digest);
  void finish();

 private:
  struct Manager;
  explicit MultiBufferSha256(std::unique_ptr<Manager> manager);
  static std::unique_ptr<MultiBufferSha256> make(Lanes lanes);
  bool submit(ByteView bytes, Sha256& digest);
  void flush();
  bool failed() const;
  bool has_its_lanes();
  bool is_right();
  std::unique_ptr<Manager> manager_;
};

}  // namespace stampede::chunker

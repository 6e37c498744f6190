// The walk of a chunk: one value that changes type as it earns trust.
//
//   Extent → cut → digest → VerifiedChunk → seal → SealedChunk   rests in a pack or travels in a frame, and comes back as
//   UntrustedChunk → open + digest → VerifiedChunk | Error       and only a VerifiedChunk can be placed on a disk.
//
// Only chunker/digest.cpp makes a VerifiedChunk, so unverified bytes cannot reach a disk by construction.
#pragma once

#include <array>
#include <compare>
#include <cstring>
#include <functional>
#include <string>

#include "src/base/bytes.h"
#include "src/base/units.h"

namespace stampede::chunker {

// Disks are cut and hashed in blocks of 4 KiB; most file systems place their data in the same.
inline constexpr Size kBlock = 4_KiB;
// Where chunks may begin at all: a FAT's files lie at sectors.
inline constexpr Size kSector = 512_B;
// The largest chunk of image data; sealed bytes are never longer than plain ones (else the seal is raw).
inline constexpr Size kMaxChunk = 256_KiB;
// The largest stored object that is not image data: a manifest's root record.
inline constexpr Size kMaxObject = 16_MiB;
// Spans close when the next chunk would take their plain bytes above this.
inline constexpr Size kSpan = 1_MiB;

using Sha256 = std::array<std::byte, 32>;

// SHA-256 of a chunk's plain bytes.
struct ChunkId {
  Sha256 digest{};
  auto operator<=>(const ChunkId&) const = default;
};
// SHA-256 of a manifest's root record; the root record is stored as the chunk of the same digest.
struct ImageId {
  Sha256 digest{};
  auto operator<=>(const ImageId&) const = default;
};

inline std::string to_string(const ChunkId& id) { return to_hex(id.digest); }
inline std::string to_string(const ImageId& id) { return to_hex(id.digest); }
inline ChunkId as_chunk(const ImageId& id) { return {id.digest}; }

enum class ExtentKind : std::uint8_t {
  zero = 0,         // must read as zeros
  unspecified = 1,  // free space: anything goes
  data = 2,
};

// A range of the disk.
struct Extent {
  Offset offset;
  Size length;
  ExtentKind kind = ExtentKind::data;
  auto operator<=>(const Extent&) const = default;
};

enum class Codec : std::uint8_t { raw = 0, zstd = 1 };

// The form in which a chunk rests and travels: a single zstd frame with content size, or the raw bytes.
struct SealedChunk {
  ChunkId id;
  Codec codec = Codec::raw;
  std::uint32_t plain_size = 0;
  Bytes bytes;
};

// Bytes that claim to be a chunk: from a peer, a pack, a multicast stream. Points into the buffer that they arrived in.
struct UntrustedChunk {
  ChunkId claimed;
  Codec codec = Codec::raw;
  std::uint32_t plain_size = 0;
  ByteView sealed;
};

// Bytes whose SHA-256 is the id. Points into a buffer that the holder keeps alive.
class VerifiedChunk {
 public:
  const ChunkId& id() const { return id_; }
  ByteView bytes() const { return bytes_; }

 private:
  friend class Digester;
  VerifiedChunk(ChunkId id, ByteView bytes) : id_(id), bytes_(bytes) {}
  ChunkId id_;
  ByteView bytes_;
};

}  // namespace stampede::chunker

template <>
struct std::hash<stampede::chunker::ChunkId> {
  std::size_t operator()(const stampede::chunker::ChunkId& id) const noexcept {
    std::size_t value;  // the id is a digest: any eight bytes of it are a good hash
    std::memcpy(&value, id.digest.data(), sizeof value);
    return value;
  }
};

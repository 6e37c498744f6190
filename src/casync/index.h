// casync's index of a disk image, a `.caibx` file: which chunks, in which order, are the image. Also read by desync and
// RAUC.
//
// All numbers are little-endian and of 8 bytes.
//   0    48                        size of this first part
//   8    0x96824d9c7b129ff9
//   16   flags                     0x2000000000000000: ids are SHA-512/256, else SHA-256; the others say what casync left
//   out
//                                  of a file tree, and nothing of a disk image
//   24   least, mean and greatest size that the chunks were cut to; 1 … 128 MiB, in order
//   48   0xffffffffffffffff        (a table whose size was not known when it was begun)
//   56   0xe75b9e112f17417d
//   64   chunks, 40 bytes each: the offset at which it ends (so each is greater than the one before), and 32 bytes id
//   then 0, 0, 48, size of the table with its head and this tail (the file's without the first 48), 0x4b4f050e5549ecd1
//
// A chunk is named by the hash of its bytes. It is as long as the greatest size at most; the least one binds nobody: a
// disk's last chunk may be shorter, and so are others where the cutter is not casync's.
#pragma once

#include <array>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/units.h"

namespace stampede::casync {

inline constexpr Size kMaxChunk = 128_MiB;
inline constexpr std::size_t kMaxChunks = std::size_t{16} << 20;
inline constexpr std::size_t kHeadSize = 64, kItemSize = 40, kTailSize = 40;
inline constexpr Size kMaxIndex{kHeadSize + kMaxChunks * kItemSize + kTailSize};

using Id = std::array<std::byte, 32>;
enum class Hash : std::uint8_t { sha256, sha512_256 };
inline constexpr std::uint64_t kFlagSha512Short = 0x2000000000000000;
inline constexpr std::uint64_t kFlagExcludeNoDump = 0x8000000000000000;  // of no meaning here, and casync always sets it

struct Head {
  std::uint64_t flags = kFlagExcludeNoDump;
  Size least{16_KiB}, mean{64_KiB}, greatest{256_KiB};
  Hash hash() const { return (flags & kFlagSha512Short) != 0 ? Hash::sha512_256 : Hash::sha256; }
  bool operator==(const Head&) const = default;
};

struct Chunk {
  Offset offset;
  Size length;
  Id id{};
  bool operator==(const Chunk&) const = default;
};

// A checked index. It keeps the file's bytes and nothing beside them: kMaxIndex at most.
class Index {
 public:
  // Sizes, counts, order and marks are checked before a chunk can be asked for. Error: usage.
  static Result<Index> decode(Bytes file);

  const Head& head() const { return head_; }
  std::size_t count() const { return (file_.size() - kHeadSize - kTailSize) / kItemSize; }
  Chunk chunk(std::size_t number) const;
  Size image_size() const;

 private:
  Index(Bytes file, const Head& head) : file_(std::move(file)), head_(head) {}
  std::uint64_t end_of(std::size_t number) const;
  Bytes file_;
  Head head_;
};

// The parts of an index, to be written one after another.
void encode_head(ByteWriter& out, const Head& head);
void encode_item(ByteWriter& out, Offset end, const Id& id);
void encode_tail(ByteWriter& out, std::uint64_t chunks);
constexpr std::uint64_t index_size(std::uint64_t chunks) { return kHeadSize + chunks * kItemSize + kTailSize; }

// The store beside an index, where none is named.
inline constexpr std::string_view kDefaultStore = "default.castr";
// Where a store keeps the chunk: "1f2e/1f2e….cacnk".
std::string store_path(const Id& id);

}  // namespace stampede::casync

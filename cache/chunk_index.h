// Where each chunk lies, for millions of them: a sorted array of 8 bytes each and a directory into it of half a byte.
//
// A slot holds the first 32 bits of a chunk's id and the chunk's number: the place of its entry when the footers of all
// packs are laid one after another. Ids are hashes, so the directory finds the few slots that may be the chunk's in one
// step. They are candidates: who asks compares the whole id, in the footer. (Of n chunks a stranger meets n / 2^32
// candidates on average.)
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "chunker/types.h"
#include "src/base/aligned.h"

namespace stampede::cache {

// Of all chunks of a view's packs.
using ChunkNumber = std::uint32_t;
inline constexpr std::uint64_t kMaxIndexed = UINT32_MAX;

// Immutable and thread-safe once built. Memory: 8.5 bytes for each chunk, and twice that while another is built from it.
class ChunkIndex {
 public:
  class Slot {
   public:
    Slot() = default;
    Slot(std::uint32_t prefix, ChunkNumber number) : bits_(std::uint64_t{prefix} << 32 | number) {}
    std::uint32_t prefix() const { return static_cast<std::uint32_t>(bits_ >> 32); }
    ChunkNumber number() const { return static_cast<ChunkNumber>(bits_); }
    auto operator<=>(const Slot&) const = default;

   private:
    std::uint64_t bits_ = 0;
  };
  // Slots in ascending order: of one pack, or of another index.
  using Run = std::span<const Slot>;

  ChunkIndex() = default;
  explicit ChunkIndex(std::span<const Run> runs);

  // The numbers of the chunks that `id` may be, ascending.
  Run candidates(const chunker::ChunkId& id) const;
  // Asks for the memory that candidates() will look at, of all of these at once: most of its time it waits for that. As many
  // as kPrefetched stay in the processor's cache.
  void prefetch(std::span<const chunker::ChunkId> ids) const;
  static constexpr std::size_t kPrefetched = 64;
  Run slots() const { return slots_; }

  // The first 32 bits of an id, so that their order is that of ids.
  static std::uint32_t prefix_of(const chunker::ChunkId& id);

 private:
  std::size_t bucket_of(std::uint32_t prefix) const { return (std::uint64_t{prefix} << bits_) >> 32; }

  unsigned bits_ = 0;                                            // of a prefix that choose its bucket
  std::vector<std::uint32_t, HugePages<std::uint32_t>> starts_;  // of each bucket in slots_; then the end of the last
  std::vector<Slot, HugePages<Slot>> slots_;                     // ascending
};

}  // namespace stampede::cache

// The packs that are known at one moment, and the index of their chunks. Immutable and thread-safe; the packs stay open as
// long as it lives, removed or not.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <ranges>
#include <vector>

#include "cache/chunk_index.h"
#include "cache/pack.h"

namespace stampede::cache {

// A copy of a chunk.
struct Place {
  const Pack* pack = nullptr;
  ChunkNumber number = 0;
  PackEntry entry;
};

class PackView {
 public:
  using Packs = std::vector<std::shared_ptr<const Pack>>;
  // A pack that was opened: a slot for each of its entries, numbered from 0.
  struct Added {
    std::shared_ptr<const Pack> pack;
    std::vector<ChunkIndex::Slot> slots;
  };
  static Added added(const OpenedPack& opened);

  PackView() = default;
  // The packs of `older` that are in `keep` too, then the added ones. Error: busy, for more chunks than can be numbered.
  static Result<PackView> make(const PackView& older, const Packs& keep, std::vector<Added> added);

  const Packs& packs() const { return packs_; }
  std::uint64_t size() const { return index_.slots().size(); }  // copies of chunks
  // The number of a pack's first entry; the others follow it.
  ChunkNumber first_of(std::size_t pack) const { return firsts_[pack]; }
  std::size_t pack_of(ChunkNumber number) const {
    return static_cast<std::size_t>(std::ranges::upper_bound(firsts_, number) - firsts_.begin()) - 1;
  }

  // Gives every copy of a chunk, those of newer packs first, until `enough` returns true: bool(Result<Place>). It gets an
  // error in place of a copy that there may be, where a footer cannot be read.
  template <class Enough>
  void each_copy(const chunker::ChunkId& id, Enough enough) const {
    for (const ChunkIndex::Slot slot : index_.candidates(id) | std::views::reverse) {
      const std::size_t pack = pack_of(slot.number());
      const Result<PackEntry> entry = packs_[pack]->entry(slot.number() - firsts_[pack]);
      if (entry && entry->id != id) continue;
      if (enough(entry ? Result<Place>(Place{packs_[pack].get(), slot.number(), *entry}) : pass(entry.error()))) return;
    }
  }
  // Before many are looked for; see ChunkIndex.
  void prefetch(std::span<const chunker::ChunkId> ids) const { index_.prefetch(ids); }
  // The newest readable copy, or that in `likely` where it has one.
  std::optional<Place> find(const chunker::ChunkId& id, const Pack* likely = nullptr) const;

 private:
  Packs packs_;
  std::vector<ChunkNumber> firsts_;  // of each pack, ascending
  ChunkIndex index_;
};

}  // namespace stampede::cache

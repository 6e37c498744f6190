// Finds the number that stands for a chunk id, where the ids themselves are kept elsewhere, by these numbers. For lists of
// millions of chunks: an open-addressed table of the numbers alone, 6 to 12 bytes for each, however long an id is.
//
// `id_of(number)` gives back the id that was put in under a number. Thread-safe for finding.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "chunker/types.h"

namespace stampede::chunker {

class ChunkTable {
 public:
  // Takes `most` ids.
  explicit ChunkTable(std::size_t most = 0) : slots_(std::bit_ceil(most + most / 2 + 1), kEmpty) {}

  template <class IdOf>
  std::optional<std::uint32_t> find(const ChunkId& id, const IdOf& id_of) const {
    const std::uint32_t number = slots_[slot_of(id, id_of)];
    return number == kEmpty ? std::nullopt : std::optional(number);
  }
  // The number under which the id is there already, or this one from now on.
  template <class IdOf>
  std::uint32_t insert(const ChunkId& id, std::uint32_t number, const IdOf& id_of) {
    std::uint32_t& slot = slots_[slot_of(id, id_of)];
    return slot == kEmpty ? slot = number : slot;
  }

 private:
  static constexpr std::uint32_t kEmpty = std::numeric_limits<std::uint32_t>::max();

  // Where it is, or would be: a third of the slots at least stay empty.
  template <class IdOf>
  std::size_t slot_of(const ChunkId& id, const IdOf& id_of) const {
    std::size_t slot = std::hash<ChunkId>{}(id) & (slots_.size() - 1);
    while (slots_[slot] != kEmpty && id_of(slots_[slot]) != id) slot = (slot + 1) & (slots_.size() - 1);
    return slot;
  }

  std::vector<std::uint32_t> slots_;
};

}  // namespace stampede::chunker

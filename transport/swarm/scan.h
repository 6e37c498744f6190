// Finding members of a sparse set of spans without walking all of it: counts per block of 4096 spans, 4 bytes each (1 KiB
// for a million spans), say which blocks to look into. Private to this room.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace stampede::swarm {

inline constexpr std::uint32_t kBlockWords = 64;
inline constexpr std::uint32_t kBlockSpans = kBlockWords * 64;

class BlockCounts {
 public:
  BlockCounts() = default;
  explicit BlockCounts(std::uint32_t spans) : counts_((std::size_t{spans} + kBlockSpans - 1) / kBlockSpans) {}

  void add(std::uint32_t span, std::uint32_t n = 1) { counts_[span / kBlockSpans] += n, total_ += n; }
  void remove(std::uint32_t span) { --counts_[span / kBlockSpans], --total_; }
  std::uint32_t total() const { return total_; }
  std::uint32_t blocks() const { return static_cast<std::uint32_t>(counts_.size()); }
  bool empty(std::uint32_t block) const { return counts_[block] == 0; }

 private:
  std::vector<std::uint32_t> counts_;
  std::uint32_t total_ = 0;
};

// Visits the set's spans in ascending order from `start` to the end and then from 0 to `start`, until visit(span) returns
// false. word(i) gives 64 spans of the set; `counts` are its counts, `words` its length.
template <class Word, class Visit>
void scan_around(const BlockCounts& counts, std::uint32_t words, std::uint32_t start, Word word, Visit visit) {
  const std::uint32_t first_word = start / 64;
  const std::uint64_t upper = ~std::uint64_t{0} << (start % 64);
  const std::uint32_t first_block = first_word / kBlockWords;
  // The first block comes twice: its part from `start` on at first, the rest at the end.
  for (std::uint32_t k = 0; k <= counts.blocks(); ++k) {
    const std::uint32_t block = (first_block + k) % counts.blocks();
    if (counts.empty(block)) continue;
    std::uint32_t i = block * kBlockWords;
    std::uint32_t end = std::min(words, i + kBlockWords);
    if (k == 0) i = first_word;
    if (k == counts.blocks()) end = first_word + 1;
    for (; i < end; ++i) {
      std::uint64_t bits = word(i);
      if (i == first_word && k == 0) bits &= upper;
      if (i == first_word && k == counts.blocks()) bits &= ~upper;
      for (; bits != 0; bits &= bits - 1) {
        if (!visit(i * 64 + static_cast<std::uint32_t>(std::countr_zero(bits)))) return;
      }
    }
  }
}

}  // namespace stampede::swarm

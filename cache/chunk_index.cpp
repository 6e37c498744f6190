#include "cache/chunk_index.h"

#include <algorithm>
#include <bit>

#include "src/base/bytes.h"

namespace stampede::cache {
namespace {

// The average of a bucket has half as many slots as this, to as many.
constexpr std::size_t kBucket = 16;

}  // namespace

std::uint32_t ChunkIndex::prefix_of(const chunker::ChunkId& id) {
  return std::byteswap(load_le<std::uint32_t>(ByteView(id.digest)));
}

// By counting: each run is gone through twice, in its order, so that memory is met in order too.
ChunkIndex::ChunkIndex(std::span<const Run> runs) {
  std::size_t count = 0;
  for (const Run run : runs) count += run.size();
  if (count == 0) return;
  bits_ = static_cast<unsigned>(std::bit_width(count / kBucket));
  starts_.resize((std::size_t{1} << bits_) + 1);
  slots_.resize(count);

  for (const Run run : runs)
    for (const Slot slot : run) ++starts_[bucket_of(slot.prefix())];
  std::uint32_t end = 0;
  for (std::uint32_t& start : starts_) start = end += start;
  // From each bucket's end to its start, which then is what starts_ holds.
  for (const Run run : runs)
    for (const Slot slot : run) slots_[--starts_[bucket_of(slot.prefix())]] = slot;
  for (std::size_t i = 0; i + 1 < starts_.size(); ++i)
    std::sort(slots_.begin() + starts_[i], slots_.begin() + starts_[i + 1]);
}

ChunkIndex::Run ChunkIndex::candidates(const chunker::ChunkId& id) const {
  if (slots_.empty()) return {};
  const std::uint32_t prefix = prefix_of(id);
  const std::size_t bucket = bucket_of(prefix);
  const Run all = Run(slots_).subspan(starts_[bucket], starts_[bucket + 1] - starts_[bucket]);
  const auto [first, last] = std::ranges::equal_range(all, prefix, {}, &Slot::prefix);
  return {first, last};
}

void ChunkIndex::prefetch(std::span<const chunker::ChunkId> ids) const {
  if (slots_.empty()) return;
  for (const chunker::ChunkId& id : ids) __builtin_prefetch(&starts_[bucket_of(prefix_of(id))]);
  for (const chunker::ChunkId& id : ids) {
    const std::size_t bucket = bucket_of(prefix_of(id));
    stampede::prefetch(std::as_bytes(Run(slots_).subspan(starts_[bucket], starts_[bucket + 1] - starts_[bucket])));
  }
}

}  // namespace stampede::cache

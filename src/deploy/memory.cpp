#include "src/deploy/memory.h"

#include "src/base/text.h"
#include "src/deploy/memory_left.h"

namespace stampede::deploy {

Result<Size> cache_beside(const chunker::Root& image, std::optional<Size> limit) {
  std::uint64_t records = 0, data = 0;
  for (const auto& segment : image.segments) {
    records += segment.records;
    data += segment.data_records;
  }
  const Size least = most_memory(data, records - data, kLeastCache);
  if (limit && least > *limit)
    return fail(Code::busy, "an image of {} records takes up to {} of memory to deploy, and --memory says {}", records,
                human_size(least.bytes), human_size(limit->bytes));
  if (const auto available = memory_left(); !limit && available && least > std::max(kTargetMemory, *available))
    return fail(Code::busy, "an image of {} records takes up to {} of memory to deploy, and this machine has {} left",
                records, human_size(least.bytes), human_size(available->bytes));
  const Size left = limit.value_or(kTargetMemory) - std::min(limit.value_or(kTargetMemory), least - kLeastCache);
  return limit ? left : std::clamp(left, kLeastCache, kMostCache);
}

Result<> former_beside(const chunker::Root& former, std::size_t chunks) {
  std::uint64_t records = 0;
  for (const auto& segment : former.segments) records += segment.records;
  if (records <= std::max<std::uint64_t>(kFormerRecords, chunks + chunks / 2)) return {};
  return fail(Code::busy, "the image that the disk held has {} records, too many beside one of {} chunks", records, chunks);
}

}  // namespace stampede::deploy

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

}  // namespace stampede::deploy

#include "src/deploy/memory.h"

#include <charconv>

#include "src/base/file.h"
#include "src/base/text.h"

namespace stampede::deploy {

namespace {

// What the kernel could give without swapping; nothing where it does not say.
std::optional<Size> available_memory() {
  constexpr std::string_view kName = "MemAvailable:";
  const auto bytes = read_file("/proc/meminfo", 1_MiB);
  if (!bytes) return std::nullopt;
  const std::string_view text = as_text(*bytes);
  auto at = text.find(kName);
  if (at == std::string_view::npos) return std::nullopt;
  at = text.find_first_not_of(' ', at + kName.size());
  std::uint64_t kib = 0;
  if (std::from_chars(text.data() + std::min(at, text.size()), text.data() + text.size(), kib).ec != std::errc{})
    return std::nullopt;
  return Size{kib << 10};
}

}  // namespace

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
  if (const auto available = available_memory(); !limit && available && least > std::max(kTargetMemory, *available))
    return fail(Code::busy, "an image of {} records takes up to {} of memory to deploy, and this machine has {} left",
                records, human_size(least.bytes), human_size(available->bytes));
  const Size left = limit.value_or(kTargetMemory) - std::min(limit.value_or(kTargetMemory), least - kLeastCache);
  return limit ? left : std::clamp(left, kLeastCache, kMostCache);
}

}  // namespace stampede::deploy

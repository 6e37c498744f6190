#include "src/disk/stale.h"

#include <algorithm>

namespace stampede::disk {

namespace {

// All marks of all that libblkid takes for a member lie there: ZFS has two labels of 256 KiB at either end, LVM and LUKS
// begin in the first MiB, md's superblocks are in the first or the last 128 KiB.
constexpr std::uint64_t kEdge = (1_MiB).bytes;
constexpr std::uint64_t kGrain = 4096;

std::string describe(const volume::Found& found) {
  const std::string label = found.label.empty() ? "" : fmt::format(" '{}'", found.label);
  return fmt::format("{}{}{}", found.type, label,
                     found.partition == 0 ? "" : fmt::format(" in partition {}", found.partition));
}

}  // namespace

std::vector<Stale> find_stale(const std::vector<volume::Found>& found, Size disk, Size image) {
  const std::uint64_t image_end = round_up(image.bytes, kGrain);
  std::vector<Stale> all;
  for (const volume::Found& one : found) {
    if (!one.is_member()) continue;
    const std::uint64_t begin = one.offset.bytes;
    const std::uint64_t end = std::min(begin + one.length.bytes, disk.bytes);
    Stale stale{describe(one), {}};
    std::uint64_t from = std::max(begin, image_end);
    for (const std::uint64_t to : {std::min(begin + kEdge, end), end}) {
      from = std::max(from, to - std::min(to, kEdge));
      if (from < to) stale.ranges.push_back({{from}, {to - from}});
      from = std::max(from, to);
    }
    if (!stale.ranges.empty()) all.push_back(std::move(stale));
  }
  return all;
}

}  // namespace stampede::disk

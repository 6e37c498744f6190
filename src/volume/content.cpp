#include <fcntl.h>

#include "src/volume/inspect.h"
#include "src/volume/probe.h"

namespace stampede::volume {

namespace {

constexpr Size kEdge = 1_MiB;

// A descriptor of its own: without O_DIRECT, whose alignment libblkid does not keep, and with a position of its own.
Result<File> second_descriptor(int fd) { return File::open(fmt::format("/proc/self/fd/{}", fd), O_RDONLY); }

Result<bool> edges_are_zero(const File& disk, Size size) {
  Bytes edge(std::min(kEdge, size).bytes);
  STAMPEDE_CHECK(disk.read_at({}, edge));
  if (!all_zero(edge)) return false;
  STAMPEDE_CHECK(disk.read_at({size.bytes - edge.size()}, edge));
  return all_zero(edge);
}

std::string describe(const Signature& found) {
  const std::string label = found.label.empty() ? "" : fmt::format(" '{}'", found.label);
  if (found.type == "swap") return "swap space" + label;
  if (found.usage == "filesystem") return fmt::format("{} file system{}", found.type, label);
  if (found.usage == "table") return fmt::format("{} partition table", found.type);
  if (found.usage == "raid") return fmt::format("{} (part of a volume or RAID){}", found.type, label);
  if (found.usage == "crypto") return fmt::format("{} encrypted volume{}", found.type, label);
  return found.type + label;
}

}  // namespace

Result<Content> probe_content(int fd, Size size) {
  STAMPEDE_TRY(const File disk, second_descriptor(fd));
  STAMPEDE_TRY(const bool zero, edges_are_zero(disk, size));
  STAMPEDE_TRY(const std::vector<Signature> signatures, find_all_signatures(disk, size));
  if (const auto table = find_table(disk, size, true); table) {
    const std::size_t n = table->partitions.size();
    return Content{.blank = false,
                   .description = fmt::format("{} partition table, {} partition{}", table->kind, n, n == 1 ? "" : "s"),
                   .disk_guid = table->id};
  }
  if (!signatures.empty())
    return Content{.blank = false, .description = describe(signatures.front()), .disk_guid = signatures.front().uuid};
  if (!zero) return Content{.blank = false, .description = "unknown data", .disk_guid = {}};
  return Content{};
}

}  // namespace stampede::volume

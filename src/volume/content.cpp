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
  if (found.type == "zfs_member") return "part of a ZFS pool" + label;
  if (found.usage == "filesystem") return fmt::format("{} file system{}", found.type, label);
  if (found.usage == "table") return fmt::format("{} partition table", found.type);
  if (found.usage == "raid") return fmt::format("{} (part of a volume or RAID){}", found.type, label);
  if (found.usage == "crypto") return fmt::format("{} encrypted volume{}", found.type, label);
  return found.type + label;
}

Found found_at(unsigned partition, Offset offset, Size length, const Signature& signature) {
  return {partition, offset, length, signature.type, signature.usage, signature.label, signature.uuid};
}

// A disk with a table may have been something as a whole before, and still bear its mark at the end.
std::vector<Found> find_contents(const File& disk, Size size, const std::vector<Signature>& signatures, const Table* table) {
  std::vector<Found> found;
  for (const Signature& signature : signatures)
    if (signature.usage != "table") found.push_back(found_at(0, {}, size, signature));
  if (table == nullptr) return found;
  for (const PartitionFacts& partition : table->partitions) {
    if (partition.offset.bytes >= size.bytes) continue;
    const Size length = std::min(partition.length, size - Size{partition.offset.bytes});
    const Signature signature = find_signature(disk, partition.offset, length);
    if (!signature.type.empty()) found.push_back(found_at(partition.number, partition.offset, length, signature));
  }
  return found;
}

std::string describe(const Table& table, const std::vector<Found>& found) {
  std::vector<std::string> inside;
  for (const Found& one : found) {
    if (one.partition == 0) continue;
    inside.push_back(one.label.empty() ? one.type : fmt::format("{} '{}'", one.type, one.label));
  }
  const std::size_t n = table.partitions.size();
  return fmt::format("{} partition table, {} partition{}{}{}", table.kind, n, n == 1 ? "" : "s", inside.empty() ? "" : ": ",
                     fmt::join(inside, ", "));
}

}  // namespace

Result<Content> probe_content(int fd, Size size) {
  STAMPEDE_TRY(const File disk, second_descriptor(fd));
  STAMPEDE_TRY(const bool zero, edges_are_zero(disk, size));
  STAMPEDE_TRY(const std::vector<Signature> signatures, find_all_signatures(disk, size));
  const auto table = find_table(disk, size, true);
  Content content{.blank = !table && signatures.empty() && zero,
                  .description = "",
                  .disk_guid = "",
                  .found = find_contents(disk, size, signatures, table ? &*table : nullptr)};
  if (table) {
    content.description = describe(*table, content.found);
    content.disk_guid = table->id;
  } else if (!signatures.empty()) {
    content.description = describe(signatures.front());
    content.disk_guid = signatures.front().uuid;
  } else if (!zero) {
    content.description = "unknown data";
  }
  return content;
}

}  // namespace stampede::volume

#include "src/disk/inventory.h"

#include <fcntl.h>

#include <algorithm>
#include <set>

#include "src/base/file.h"
#include "src/base/text.h"
#include "src/disk/content.h"
#include "src/disk/sysfs.h"

namespace stampede::disk {

namespace fs = std::filesystem;

namespace {

struct System {
  std::vector<BlockNode> nodes;
  std::vector<Use> mounts, roots, swaps;
};

System read_system(const SystemPaths& paths) {
  return {block_nodes(paths), mounts(paths), root_mounts(paths), swaps(paths)};
}

std::string first_of(const fs::path& folder, std::initializer_list<const char*> names) {
  for (const char* const name : names)
    if (const std::string value = attribute(folder / name); !value.empty()) return printable(value);
  return "";
}

// Everything that is built upon a node, however far up: md on a partition, LVM on the md.
void add_with_holders(const std::string& name, const System& system, std::set<std::string>& names) {
  if (!names.insert(name).second) return;
  for (const BlockNode& node : system.nodes)
    if (node.name == name || node.whole == name)
      for (const std::string& holder : node.holders) add_with_holders(holder, system, names);
}

// What comes and goes with a hand: by the kernel's flag, which USB sticks have and USB disks have not, by the bus, or by the
// kind of card (an MMC that is soldered in says "MMC").
bool is_removable(const fs::path& whole) {
  if (number_attribute(whole / "removable") != 0 || attribute(whole / "device" / "type") == "SD") return true;
  std::error_code error;
  const fs::path real = fs::canonical(whole, error);
  return std::ranges::any_of(real, [](const fs::path& part) {
    const std::string name = part.string();
    return name.size() > 3 && name.starts_with("usb") && name.find_first_not_of("0123456789", 3) == name.npos;
  });
}

std::string by_path(const std::string& device, const SystemPaths& paths) {
  std::error_code error;
  std::set<std::string> names;
  const std::string name = device_name(device, paths);
  for (fs::directory_iterator it(paths.dev / "disk" / "by-path", error), end; !error && it != end; it.increment(error))
    if (device_name(it->path(), paths) == name) names.insert(printable(it->path().filename().string()));
  return names.empty() ? "" : *names.begin();
}

void fill_identity(Disk& disk, const fs::path& whole) {
  disk.model = first_of(whole, {"device/model", "loop/backing_file", "dm/name"});
  disk.serial = first_of(whole, {"serial", "device/serial"});
  if (disk.serial.empty()) disk.serial = printable(vpd_serial(whole / "device" / "vpd_pg80"));
  disk.wwn = first_of(whole, {"wwid", "device/wwid"});
  disk.sequence = number_attribute(whole / "diskseq");
  disk.removable = is_removable(whole);
  if (const std::uint64_t sector = number_attribute(whole / "queue" / "logical_block_size"); sector != 0)
    disk.sector_size = static_cast<std::uint32_t>(sector);
}

void fill_uses(Disk& disk, const BlockNode& about, const System& system) {
  std::set<std::string> built_upon;
  for (const BlockNode& node : system.nodes) {
    if (node.name != about.name && node.whole != about.name) continue;
    add_with_holders(node.name, system, built_upon);
    disk.holders.insert(disk.holders.end(), node.holders.begin(), node.holders.end());
    disk.holders.insert(disk.holders.end(), node.members.begin(), node.members.end());
    for (const Use& use : system.mounts)
      if (use.of(node)) disk.mounts.push_back(fmt::format("/dev/{} on {}", node.name, use.where));
    for (const Use& use : system.swaps)
      if (use.of(node)) disk.swaps.push_back("/dev/" + node.name);
  }
  disk.own = std::ranges::any_of(system.nodes, [&](const BlockNode& node) {
    if (!built_upon.contains(node.name)) return false;
    return std::ranges::any_of(system.roots, [&](const Use& use) { return use.of(node); });
  });
}

Disk describe_node(const BlockNode& node, const System& system, const SystemPaths& paths) {
  Disk disk;
  std::string name = node.name;
  std::ranges::replace(name, '!', '/');
  disk.path = paths.dev / name;
  disk.size = Size{512} * number_attribute(node.folder / "size");
  disk.read_only = number_attribute(node.folder / "ro") != 0;
  disk.by_path = by_path(disk.path, paths);
  fill_identity(disk, paths.sys / "block" / node.whole);
  fill_uses(disk, node, system);
  return disk;
}

bool is_listed(const BlockNode& node) {
  if (node.is_partition() || number_attribute(node.folder / "size") == 0) return false;
  return !node.name.starts_with("loop") || !attribute(node.folder / "loop" / "backing_file").empty();
}

}  // namespace

Result<std::vector<Disk>> list_disks(const SystemPaths& paths) {
  std::error_code error;
  if (!fs::is_directory(paths.sys / "block", error))
    return fail(Code::usage, "cannot list disks: {} is not there: mount sysfs", (paths.sys / "block").string());
  const System system = read_system(paths);
  std::vector<Disk> disks;
  for (const BlockNode& node : system.nodes) {
    if (!is_listed(node)) continue;
    disks.push_back(describe_node(node, system, paths));
  }
  std::ranges::sort(disks, {}, &Disk::path);
  return disks;
}

Result<Disk> describe(const fs::path& device, const SystemPaths& paths) {
  const System system = read_system(paths);
  const std::string name = device_name(device, paths);
  const auto node = std::ranges::find(system.nodes, name, &BlockNode::name);
  if (name.empty() || node == system.nodes.end())
    return fail(Code::no_match, "{} is not a block device of this machine", device.string());
  return describe_node(*node, system, paths);
}

void look_into(Disk& disk) {
  const auto file = File::open(disk.path, O_RDONLY);
  if (!file) {
    disk.content = file.error().message;
    return;
  }
  auto look = look_at(file->fd(), disk.size);
  disk.content = look ? look->description : look.error().message;
  if (look) disk.guid = look->guid;
}

}  // namespace stampede::disk

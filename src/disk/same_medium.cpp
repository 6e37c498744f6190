#include "src/disk/same_medium.h"

#include <algorithm>

#include "src/disk/rules.h"
#include "src/disk/selector.h"
#include "src/disk/sysfs.h"

namespace stampede::disk {

namespace {

std::string backing_of(const BlockNode& node) { return attribute(node.folder / "loop" / "backing_file"); }

// The whole disk of a block device that a loop device is upon; empty where that is a file.
std::string whole_below(const std::string& backing, const std::vector<BlockNode>& nodes, const SystemPaths& paths) {
  const std::string name = device_name(backing, paths);
  const auto below = std::ranges::find(nodes, name, &BlockNode::name);
  return name.empty() || below == nodes.end() ? "" : below->whole;
}

bool same_identity(const Disk& a, const Disk& b) {
  if (!a.wwn.empty() && !b.wwn.empty()) return same_wwn(a.wwn, b.wwn);
  return !a.serial.empty() && !a.model.empty() && a.serial == b.serial && a.model == b.model;
}

Result<> check_below(const Disk& disk, const std::string& backing, const SystemPaths& paths) {
  const auto below = describe(backing, paths);
  if (!below) return {};
  const auto unused = check_unused(*below);
  if (unused || unused.error().code == Code::read_only) return {};
  return fail(Code::in_use, "{} lies on a device that is in use: {}", disk.path, unused.error().message);
}

}  // namespace

Result<> check_one_name(const Disk& disk, const std::vector<Disk>& disks, const SystemPaths& paths) {
  const std::vector<BlockNode> nodes = block_nodes(paths);
  const std::string name = device_name(disk.path, paths);
  const auto own = std::ranges::find(nodes, name, &BlockNode::name);
  const std::string own_backing = own == nodes.end() ? "" : backing_of(*own);
  for (const BlockNode& node : nodes) {
    const std::string backing = node.name == name ? "" : backing_of(node);
    if (backing.empty()) continue;
    if (backing == own_backing)
      return fail(Code::in_use, "{} is attached as /dev/{} too: detach that first", disk.path, node.name);
    if (whole_below(backing, nodes, paths) == name)
      return fail(Code::in_use, "/dev/{} is attached upon {}: detach it first", node.name, disk.path);
  }
  if (!own_backing.empty()) STAMPEDE_CHECK(check_below(disk, own_backing, paths));
  for (const Disk& other : disks)
    if (other.path != disk.path && same_identity(disk, other))
      return fail(Code::several_match,
                  "{} and {} say that they are the same disk ({}): name the device that joins its paths", disk.path,
                  other.path, disk.wwn.empty() ? disk.serial : disk.wwn);
  return {};
}

}  // namespace stampede::disk

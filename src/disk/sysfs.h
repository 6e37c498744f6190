// What the kernel's tables say of block devices: sysfs nodes, mounts, swaps. Reads only; what is not there is empty.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "src/disk/inventory.h"

namespace stampede::disk {

// A disk or a partition.
struct BlockNode {
  std::string name;    // "sda1"
  std::string number;  // "8:1"
  std::string whole;   // "sda"; the same as `name` for a disk
  std::filesystem::path folder;
  std::vector<std::string> holders;  // names of the nodes that are built upon it
  std::vector<std::string> members;  // what else holds it, without a node: "btrfs UUID" (mounted), "bcache"
  bool is_partition() const { return name != whole; }
};

// A mounted file system or a swap area.
struct Use {
  std::string number;  // "8:1"; empty for swap
  std::string name;    // "sda1"; empty where the source is no block device
  std::string where;   // mount point; empty for swap
  // btrfs and others mount under a number of their own, and swap has none.
  bool of(const BlockNode& node) const { return number == node.number || name == node.name; }
};

// Sorted by name; disks that nothing can be deployed to (ram, zram, hidden paths) are left out.
std::vector<BlockNode> block_nodes(const SystemPaths& paths);
// Of this process and, where it can be read, of the first one.
std::vector<Use> mounts(const SystemPaths& paths);
std::vector<Use> root_mounts(const SystemPaths& paths);
std::vector<Use> swaps(const SystemPaths& paths);

// The kernel's name for "/dev/…", links followed: "sda1". Empty where there is none.
std::string device_name(const std::string& device, const SystemPaths& paths);

// The kernel's name of the disk that the partition is on; empty for what is no partition.
std::string whole_of_partition(const std::string& device, const SystemPaths& paths);

// The first line of an attribute without blanks around it; bytes as the device gives them.
std::string attribute(const std::filesystem::path& path);
std::uint64_t number_attribute(const std::filesystem::path& path);
// The serial number in SCSI's vital product data, page 80.
std::string vpd_serial(const std::filesystem::path& path);

}  // namespace stampede::disk

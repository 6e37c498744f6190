// The disks of this machine: what the kernel says of each (sysfs, mountinfo, swaps) and what is on it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "src/base/error.h"
#include "src/base/units.h"

namespace stampede::disk {

struct Disk {
  std::string path{};  // "/dev/sda"
  std::string model{};
  std::string serial{};
  std::string wwn{};      // "0x5000c500…", "eui.…", "naa.…" as the kernel gives it
  std::string by_path{};  // where it is plugged in: a name in /dev/disk/by-path; empty where nobody made one
  std::string guid{};     // of the partition table on it, lower case; empty where there is none or nobody looked
  Size size{};
  std::uint32_t sector_size = 512;  // logical
  std::uint64_t sequence = 0;       // the kernel's number for this medium in this drive; 0 where it gives none
  bool removable = false;           // the medium can be taken out, or the drive is on USB, or a memory card
  bool read_only = false;
  std::vector<std::string> mounts{};  // "/dev/sda1 on /boot"
  std::vector<std::string> swaps{};
  std::vector<std::string> holders{};  // "dm-0", "btrfs UUID"
  bool own = false;                    // carries the running system's root (or the agent's boot) file system
  // "blank", "gpt partition table, 2 partitions: …", "an interrupted deployment of …"; empty where nobody looked.
  std::string content{};
};

// Where the kernel's tables are looked for; tests point it at a made-up tree.
struct SystemPaths {
  std::filesystem::path sys = "/sys";
  std::filesystem::path proc = "/proc";
  std::filesystem::path dev = "/dev";
};

// Whole disks (not partitions, no empty loop devices, no ram, no zram), sorted by path. Nothing is read from the disks
// themselves.
Result<std::vector<Disk>> list_disks(const SystemPaths& paths = {});
// One block device by path, partitions too.
Result<Disk> describe(const std::filesystem::path& device, const SystemPaths& paths = {});
// Reads what is on the disk: its content, or why that cannot be told, and its GUID.
void look_into(Disk& disk);

}  // namespace stampede::disk

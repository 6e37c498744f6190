// The guard's rules about who uses a disk although the kernel names no holder of it.
#pragma once

#include "src/disk/content.h"
#include "src/disk/inventory.h"

namespace stampede::disk {

// in_use: what is on the disk is part of a ZFS pool that is imported here, or of an LVM volume group of which a volume is
// active. `fd` is the open disk.
Result<> check_members(const Disk& disk, int fd, const Look& look, const SystemPaths& paths);

// in_use: another program has locked the device or file, as virtual machine monitors lock their disks.
Result<> check_unlocked(int fd, const std::string& path);

}  // namespace stampede::disk

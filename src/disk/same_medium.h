// The guard's rule against one medium under two names: the kernel lets the same bytes be opened exclusively once for each.
#pragma once

#include <vector>

#include "src/base/error.h"
#include "src/disk/inventory.h"

namespace stampede::disk {

// in_use: a loop device is attached upon the disk, or the disk is one upon a file that another has too, or upon a block
// device that is in use. several_match: another of `disks` has its WWN, or its serial and model where they tell no WWNs (two
// paths to one disk without multipath).
Result<> check_one_name(const Disk& disk, const std::vector<Disk>& disks, const SystemPaths& paths);

}  // namespace stampede::disk

// Puts a rescue file back onto its disk, through the same guard and in the same order as a deployment: what is on the disk
// now loses its table first, the boot sector comes last, and an interrupted run is known as one and can be repeated.
#pragma once

#include <functional>

#include "src/disk/rescue.h"
#include "src/disk/selector.h"
#include "src/disk/target.h"

namespace stampede::disk {

struct RestoreOptions {
  Selector selector;
  std::optional<std::string> overwrite;  // what is on the disk now may be lost
  // Called before the first write with what the disk holds now, as TargetOptions::save.
  std::function<Result<>(const Rescue& now)> save{};
};

struct Restored {
  Disk disk;
  Size written;
};

// Durable and read back when it returns. Errors: the guard's; before anything is written: usage where the file does not
// hold all that is blanked, identity_changed where it is of another disk.
Result<Restored> restore_table(const Rescue& rescue, const RestoreOptions& options, const std::vector<Disk>& disks,
                               const SystemPaths& paths = {});

}  // namespace stampede::disk

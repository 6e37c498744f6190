// What is on a disk before it is written: an interrupted deployment of ours, nothing, or something that is somebody's.
#pragma once

#include <optional>
#include <string>

#include "src/base/error.h"
#include "src/base/units.h"
#include "src/disk/in_progress.h"
#include "src/volume/inspect.h"

namespace stampede::disk {

struct Look {
  std::optional<InProgress> interrupted;
  bool blank = false;
  std::string description;  // "blank", "gpt partition table, 2 partitions", "an interrupted deployment of …"
  std::string guid;
  std::vector<volume::Found> found;  // on an interrupted disk too: what is left of the one before
  // Somebody's, to be overwritten only where that is ordered.
  bool foreign() const { return !blank && !interrupted; }
};

// Reads only. The descriptor may be open with any flags.
Result<Look> look_at(int fd, Size size);

}  // namespace stampede::disk

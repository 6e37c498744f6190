// What lint (lint.h) has found somewhere in an image.
#pragma once

#include <string>

namespace stampede::volume {

struct Finding {
  std::string code;  // "machine-id", "ssh-host-key", …
  // In the root file system; with a slash at its end all that a folder holds; in another file system with "partition N: "
  // before it; empty for what has none.
  std::string path;
  bool operator==(const Finding&) const = default;
};

}  // namespace stampede::volume

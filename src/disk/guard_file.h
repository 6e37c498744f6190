// The guard for a target that is a file.
#pragma once

#include <filesystem>

#include "src/disk/guard.h"

namespace stampede::disk {

// See open_guarded(). Errors besides its: usage for what is not a regular file and for a missing folder.
Result<GuardedDisk> open_guarded_file(const std::filesystem::path& path, const Needs& needs, const SystemPaths& paths);

}  // namespace stampede::disk

// The guard for a target that is a file.
#pragma once

#include <filesystem>

#include "src/disk/guard.h"

namespace stampede::disk {

// Asks for O_DIRECT on the open descriptor: with O_CREAT a file system that has none makes the file and then refuses. Is it
// set?
bool set_direct(int fd);
// Why a file cannot be made or opened to be written.
Error cannot_open_file(const std::filesystem::path& path, int error_number);

// See open_guarded(). Errors besides its: usage for what is not a regular file and for a missing folder.
Result<GuardedDisk> open_guarded_file(const std::filesystem::path& path, const Needs& needs, const SystemPaths& paths);

}  // namespace stampede::disk

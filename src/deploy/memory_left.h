// How much memory this process could still take: what the kernel has, and what the control groups that it runs in (a
// container's, a systemd service's MemoryMax=) leave it. cgroup v2, Documentation/admin-guide/cgroup-v2.rst. Thread-safe.
#pragma once

#include <filesystem>
#include <optional>

#include "src/base/units.h"

namespace stampede::deploy {

// Without swapping: MemAvailable, and for each group the limit without what is in use of it, of which a cache of files that
// nobody uses does not count. Nothing where none of them says. `root` is where /proc and /sys are.
std::optional<Size> memory_left(const std::filesystem::path& root = "/");

}  // namespace stampede::deploy

// Zeroes or discards the many extents of an image, a few at a time: a job for each at once would take more memory than the
// manifest.
#pragma once

#include <span>

#include "chunker/types.h"
#include "src/disk/target.h"

namespace stampede::deploy {

inline constexpr std::size_t kClearingAtOnce = 8;

enum class Clearing : std::uint8_t { zero, discard };

// Begins it, after Target::begin(); Target::flush() waits for all of it, and tells of a failure. `extents` outlive the
// target.
void clear(disk::Target& target, std::span<const chunker::Extent> extents, Clearing how);

}  // namespace stampede::deploy

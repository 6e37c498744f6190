// The parts of a disk of which an image says nothing: what was free space in it, and what lies beyond its end.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "chunker/manifest.h"

namespace stampede::deploy {

enum class Unspecified : std::uint8_t {
  leave,    // as it is
  discard,  // where the device can: it may lose it
  zero,     // and verified as zeros are
};
std::string_view name_of(Unspecified unspecified);
std::optional<Unspecified> unspecified_named(std::string_view name);

// The image's unspecified extents, in disk order.
std::vector<chunker::Extent> unspecified_extents(const chunker::Manifest& manifest);
// The same without some blocks of 4 KiB; `numbers` in ascending order.
std::vector<chunker::Extent> without_blocks(const std::vector<chunker::Extent>& extents,
                                            const std::vector<std::uint64_t>& numbers);
// What a disk of that size has beyond the image; empty, or one extent that begins with a block.
std::vector<chunker::Extent> beyond(Size image, Size disk);

}  // namespace stampede::deploy

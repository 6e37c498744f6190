// The free extents of an LVM physical volume, by the metadata of its volume group that it bears.
//
// LVM2's on-disk format (lib/format_text/layout.h, format-text.c), little-endian. In one of the first four sectors of 512
// bytes:
//   0  8  "LABELONE"     20  4  offset of the header in the sector     24  8  "LVM2 001"
// The header: 32 characters of UUID, u64 size; pairs of u64 offset and size, of data areas up to a zero pair, then of
// metadata areas up to another. A metadata area begins with a sector:
//   4 16  " LVM2 x[5A%r0N*>"    20  4  version = 1    32  8  size of the area
//   40 8  offset of the text in the area    48 8  its size    56 4  its CRC    60 4  flags (1: this one does not count)
// A text that reaches the area's end goes on behind that sector. The CRC is CRC-32's (0xedb88320) from 0xf597a6cf on, as it
// is.
//
// The text: NAME { … } and NAME = VALUE, where a value is a number, a string or a list of those; # begins a comment. In
// the group extent_size and physical_volumes' pe_start count sectors of 512 bytes; a segment of a logical volume with
// stripes = ["pv0", 17, …] has extent_count / (number of stripes) extents on each, from that one on. A segment that says
// otherwise where it is names logical volumes, which are described as well.
#pragma once

#include <string_view>
#include <vector>

#include "src/base/error.h"
#include "src/volume/ext4.h"

namespace stampede::volume {

// Errors: cannot_customise where anything is not as described; read_failed.
Result<std::vector<Range>> free_extents(BlockAccess& blocks, Offset at, Size length);

// The same of the text alone, for the physical volume with that UUID (without dashes).
Result<std::vector<Range>> free_extents_of(std::string_view text, std::string_view id, Offset at, Size length);

}  // namespace stampede::volume

// Where a chunk ends. Profile 1: each 4 KiB block is hashed with XXH3-64 (seed 0); a chunk of at least 16 KiB ends after a
// block whose hash has its low 4 bits zero (a mean of 16 blocks = 64 KiB); it ends at 256 KiB, at the end of the data, and
// before any zero block. Zero blocks are never data. The end of the disk need not be block-aligned.
//
// Blocks are the disk's, at multiples of 4 KiB, but for files of a FAT that do not lie so (volume/off_grid.h): each is cut
// from its own beginning. A kernel is then the same chunks in /boot and on the EFI system partition, which saves 7 to 9 % of
// a Debian that has both; what lies after such a file is cut at the disk's blocks again, with a short chunk between.
#pragma once

#include "chunker/types.h"

namespace stampede::chunker {

struct CutterProfile {
  Size min = 16_KiB;
  Size max = kMaxChunk;
  std::uint64_t mask = 15;
};

// The length of the chunk that starts at the head of `data`; `data` holds no zero block before that end, and is at least
// profile.max long or reaches the end of its data extent.
Size cut(ByteView data, const CutterProfile& profile = {});

}  // namespace stampede::chunker

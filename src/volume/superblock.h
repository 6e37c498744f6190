// The ext2/3/4 superblock, as far as it decides whether the file system may be opened and edited. libext2fs checks much of
// the rest itself; the size is judged here first, because it allocates by it.
//
// 1024 bytes at byte 1024 of the file system, little-endian: 0x04 blocks (u32), 0x18 log2 of the block size / 1024 (u32),
// 0x38 magic 0xef53 (u16), 0x3a state (u16; 1 clean, 2 errors), 0x5c/0x60/0x64 compat, incompat and ro_compat features
// (u32), 0xe8 first orphan inode (u32), 0x150 upper half of blocks (u32).
#pragma once

#include <string_view>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/units.h"
#include "src/volume/block_access.h"

namespace stampede::volume {

struct Superblock {
  std::uint32_t block_size = 0;
  std::uint64_t blocks = 0;
  std::uint16_t state = 0;
  std::uint32_t incompat = 0;
  std::uint32_t ro_compat = 0;
  std::uint32_t first_orphan = 0;

  // Empty if the file system was unmounted properly; else why it needs e2fsck or a mount first.
  std::string_view unclean() const;
  // Empty if its features let libext2fs edit it and keep it consistent; else the feature that does not.
  std::string_view not_editable() const;
};

// Reads and checks the superblock of the file system that starts at `offset`; it must lie within `blocks`.
// Error: cannot_customise, read_failed.
Result<Superblock> read_superblock(BlockAccess& blocks, Offset offset);

}  // namespace stampede::volume

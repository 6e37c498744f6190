// partclone's images, version 2 ("0002"), as Clonezilla and FOG keep partitions. Little-endian:
//
//     0  "partclone-image\0"  16
//    16  partclone's version  14
//    30  "0002"                4
//    34  0xC0DE               u16   endianness
//    36  file system          16
//    52  size of the device   u64
//    60  blocks               u64
//    68  used, by the superblock; 76 used, by the bitmap: u64 each
//    84  block size           u32
//    88  size of what follows u32   18
//    92  2                    u16   version of the image
//    94  64 or 32             u16
//    96  checksum             u16   0 none, 0x20 CRC32
//    98  its size             u16
//   100  blocks for each      u32   0: none
//   104  begins anew for each u8
//   105  bitmap               u8    1: a bit for each block, 0x08: none, all blocks (partclone.dd)
//   106  CRC32 of the 106 bytes before
//   110  the bitmap, a bit for each block, the lowest first; then its CRC32
//        the used blocks in order; after each `blocks for each`, and after the last, a checksum
//
// partclone's CRC32 is zlib's without the final inversion. What the bitmap does not name was free in the file system: it
// becomes a hole. Source: partclone's IMAGE_FORMATS.md, and what Debian's partclone 0.3.23 writes.
#pragma once

#include "src/formats/unpack_impl.h"

namespace stampede::formats {

inline constexpr std::size_t kPartcloneHeader = 110;

struct PartcloneHeader {
  std::string file_system;
  Size device;
  std::uint64_t blocks = 0;
  std::uint64_t used = 0;  // by the bitmap
  std::uint32_t block_size = 0;
  bool checksums = false;
  std::uint32_t blocks_per_checksum = 0;
  bool reseed = false;
  bool bitmap = true;
  bool operator==(const PartcloneHeader&) const = default;
};

// Error: usage.
Result<PartcloneHeader> decode_partclone_header(ByteView bytes);

// Memory: the bitmap, at most 512 MiB (16 TiB in blocks of 4 KiB), as it comes; and one group of blocks. Errors: usage,
// where it is damaged; those of stream and spool.
Result<> copy_partclone(unpack::Stream& stream, Spool& spool, Ticker& ticker);

}  // namespace stampede::formats

// Was a file system unmounted properly? As far as partclone does not see to it itself: what it says of free blocks does not
// count those that a journal has yet to give to somebody.
//
// XFS, big-endian. The superblock: 0 "XFSB", 4 u32 block size, 48 u64 first block of the log (0: it is elsewhere), 84 u32
// blocks in an allocation group, 96 u32 blocks of the log, 124 u8 bits of a block number within its group. A log record's
// header begins at a multiple of 512 bytes: 0 u32 0xfeedbabe, 8 u32 version, 16 u64 log sequence number, 40 u32 count of
// operations, 320 u32 size of a log buffer, for each 32 KiB of which version 2 has a block of 512 bytes of headers. The
// record of an unmount has one operation, whose flags (byte 9) have 0x20. (Linux: fs/xfs/libxfs/xfs_format.h,
// xfs_log_format.h.)
//
// btrfs, little-endian, at 64 KiB: 64 "_BHRfS_M", 96 u64 log tree (0: none, what is committed is all), 136 u64 devices.
//
// NTFS, little-endian. The boot sector: 11 u16 bytes in a sector, 13 u8 sectors in a cluster, 48 u64 first cluster of the
// file table, 64 s8 clusters of a record (-n: 2^n bytes). Record 2 is the log file. A record: 0 "FILE", 20 u16 first
// attribute; an attribute: 0 u32 type, 4 u32 length, 8 u8 elsewhere; of data (0x80) elsewhere, 32 u16 where the runs begin:
// u8 (low half bytes of a length, high half of a cluster), the two numbers. The log file begins with two pages "RSTR", or
// has never been used and begins with 0xff: 16 u32 size of the page, 24 u16 restart area; in that 0 u64 log sequence number,
// 12 u16 clients in use (0xffff: none), 14 u16 flags (2: clean). (ntfs-3g: include/ntfs-3g/logfile.h, layout.h.)
#pragma once

#include <string_view>

#include "src/base/error.h"
#include "src/volume/block_access.h"

namespace stampede::volume {

// Error: cannot_customise, saying what is yet to be done to it; read_failed. What is of no kind above is settled.
Result<> check_settled(BlockAccess& blocks, Offset at, Size length, std::string_view filesystem);

}  // namespace stampede::volume

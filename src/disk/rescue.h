// The rescue file: what a disk held where a deployment writes before it can be undone: its first and last MiB, where the
// image ends, the partition table wherever else it lies, and the volume managers' marks that are wiped (stale.h). `stampede
// disk restore-table` puts it back. Version 1, little-endian:
//   0   8  magic "STMPRESC"     8   2  version = 1    10  2  zero    12  4  number of runs, at most kMostRuns
//  16  16  deployment id       32   8  saved, Unix time
//  40   8  disk size in bytes  48   8  image size in bytes           56  4  logical sector size    60  4  zero
//  64      path, model, serial, WWN, GUID of the table: a u32 length, at most kMostText, and that many bytes each
//          the runs: u64 offset, u64 length, u8 1 where bytes follow, 0 where all are zero; ascending, apart, inside the
//          disk, together at most kMostCovered
//          the bytes of the runs that have some, one run after the other
//  -32 32  SHA-256 of everything before
#pragma once

#include <array>

#include "src/base/file.h"
#include "src/base/seams.h"
#include "src/disk/commit_region.h"
#include "src/disk/inventory.h"

namespace stampede::disk {

inline constexpr std::size_t kMostRuns = 4096;
inline constexpr std::size_t kMostRescueText = 512;
inline constexpr Size kMostCovered = 16_MiB;
// Of a file: all bytes of the runs, and its head. A depot may take less (wire::kMaxRescue).
inline constexpr Size kMostRescue = kMostCovered + 1_MiB;

struct Rescue {
  std::array<std::byte, 16> deployment{};
  UnixTime saved = 0;
  Disk disk;  // path, model, serial, wwn, guid, size, sector_size; nothing else
  Size image_size;
  std::vector<Patch> runs;
};

// Blocks of zeros take no room. Texts are cut to their limit.
Bytes encode(const Rescue& rescue);
// Error: usage, saying what is wrong with the file.
Result<Rescue> decode_rescue(ByteView bytes);

// Where to save: sorted, apart. `extra` is added as far as kMostCovered goes. Reads the table; one that cannot be read adds
// nothing.
std::vector<Range> rescue_ranges(const File& disk, Size size, std::uint32_t sector, Size image,
                                 const std::vector<Range>& extra);

// identity_changed, unless `disk` is the one that the file was made of: size, sector size, serial, WWN and model, and the
// path where it says neither serial nor WWN.
Result<> check_same_disk(const Rescue& rescue, const Disk& disk);

}  // namespace stampede::disk

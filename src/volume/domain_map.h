// The free blocks of xfs, btrfs and ntfs, as partclone tells them: in the text format of GNU ddrescue's map files.
//
//   # comment
//   0xPOSITION  ?                 where the copy stands; here the end of the file system
//   0xPOSITION  0xSIZE  +         in use; the first position is 0, each next one where the one before ends
//   0xPOSITION  0xSIZE  ?         free
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "src/base/error.h"
#include "src/volume/ext4.h"

namespace stampede::volume {

bool partclone_knows(std::string_view filesystem);

// Asks partclone.FILESYSTEM about the file system of that place. It sees nothing but that (by FUSE: needs root and
// /dev/fuse), has no privileges, and limited time and memory. `go_on` is asked meanwhile: false ends it with `interrupted`.
// Errors: cannot_customise where it is not installed, has something against the file system, or says what is not understood.
Result<std::vector<Range>> free_by_partclone(BlockAccess& blocks, Offset at, Size length, std::string_view filesystem,
                                             const std::function<bool()>& go_on);

// The free ranges of such a map, moved by `at`. Error: cannot_customise unless all of it is as described, nothing lies
// beyond `length`, and the first block is in use.
Result<std::vector<Range>> decode_domain_map(std::string_view text, Offset at, Size length);

}  // namespace stampede::volume

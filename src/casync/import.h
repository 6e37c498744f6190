// A disk image of casync's becomes a raw disk, so that it is inspected, cut and packaged as any other: its own chunks begin
// and end anywhere, and ours at a disk's blocks.
//
// Memory: the index (40 bytes for each chunk), and kBatch bytes of chunks that are got at the same time, or one chunk that
// is larger.
#pragma once

#include <functional>
#include <string>

#include "src/casync/index.h"
#include "src/formats/spool.h"

namespace stampede::casync {

inline constexpr Size kBatch = 32_MiB;

struct ImportOptions {
  std::filesystem::path folder;  // for the spool: the store's
  formats::SpoolLimits limits;
  unsigned requests = 8;  // at the same time
  // Called about ten times a second with the disk offset reached and the image's size.
  std::function<void(Offset done, Size total)> progress;
  // Asked often, from several threads: true ends it with `interrupted`.
  std::function<bool()> interrupted;
};

// `index` and `store` are files and folders, or http:// and https:// addresses; an empty `store` means default.castr beside
// the index. Errors name the chunk and where it was looked for: usage, not_found, content_altered, unreachable, read_failed,
// no_space, interrupted.
Result<File> unpack_index(const std::string& index, std::string store, const ImportOptions& options);

}  // namespace stampede::casync

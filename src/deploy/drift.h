// Drift: what a machine's disk holds that its image does not. Reads only; the disk may be in use, and mounted.
//
// The image is that of the disk's last receipt, or the one that is named. Every data range is hashed and every range that
// must read as zeros is looked at, on all cores. Where a chunk differs the depot's is fetched, so that what differs is known
// by the block of 4 KiB (above kExact of chunks: by the chunk). Blocks that the deployment itself edited (first boot, the
// partition table at the disk's end) are compared with what the receipt says of them.
//
// What was free in the image is not compared: what files hold there now is new, and differs. Whose a block is, the disk's
// ext2/3/4 file systems say. Free space does not count; nor do files that are meant to change
// (the ignore rules), nor a file system's own blocks once it has been mounted since the image was made or deployed. Of a
// mounted disk all this is approximate: what was read was not all there at one moment.
//
// Memory: the manifest, DiskDiff's, and what differs by runs of blocks.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "src/deploy/access.h"
#include "src/deploy/receipt.h"
#include "src/disk/guard.h"

namespace stampede::deploy {

inline constexpr Size kExact = 256_MiB;

// Logs, caches and state that a machine writes by itself, and what first boot makes for each. As fnmatch(3) takes them,
// where
// '*' matches slashes too.
extern const std::vector<std::string> kUsualIgnores;

struct DriftOptions : AccessOptions {
  disk::Selector disk;
  std::optional<chunker::ImageRef> image;  // instead of the last receipt's
  std::vector<std::string> ignore;         // patterns, all of them
  // About ten times a second, from the calling thread; false ends it with `interrupted`.
  std::function<bool(Size read, Size total)> progress = [](Size, Size) { return true; };
};

// Why what differs counts, or does not.
enum class DriftKind : std::uint8_t { file, metadata, outside, free, ignored, mounted };
std::string_view name_of(DriftKind kind);
// Does it count as drift?
bool counts(DriftKind kind);

struct Drifted {
  unsigned partition = 0;  // 0: outside of all
  DriftKind kind = DriftKind::outside;
  std::string what;  // a path, or words for what has none
  Size bytes;        // whole blocks
};

struct Drift {
  Receipt report;             // as the depot gets it
  std::string receipt_image;  // the deployment that it was compared with; empty: none, an image was named
  bool live = false;          // a file system of the disk is mounted
  Size read;
  std::vector<Drifted> all;  // by partition, then kind, then name
  bool delivered = false;    // the depot keeps it
  bool drifted() const { return report.verdict == Verdict::drifted; }
};

// Errors: no_match, several_match, not_found (no receipt), read_failed, too_small, and those of Access.
Result<Drift> find_drift(const DriftOptions& options);

}  // namespace stampede::deploy

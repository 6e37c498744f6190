// Two ext2/3/4 file systems in images of a store, compared file by file: what was added, removed and changed, whatever place
// it has on its disk. Both are walked side by side, folder by folder; where the two files of a name lie in the same chunks
// nothing of them is read.
//
// Memory: the names of the folders on the way down, 16 bytes for each folder, the map of one file of each
// (volume::kMostExtents), and both images' chunk caches.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "chunker/image_blocks.h"

namespace stampede::service {

struct FileChange {
  enum class Kind : std::uint8_t { added, removed, changed };
  Kind kind = Kind::changed;
  std::string path;               // of a folder with a slash at its end
  std::vector<std::string> what;  // of a change: "content", "kind", "mode", "owner", "attributes", "target", "device"
  Size before, after;             // of files; a folder, link or device has none
  Size differs;                   // of the content, by blocks of 4 KiB; of what was added or removed all
};

struct TreeDiffOptions {
  // Asked at each folder and each MiB that is read; true ends it with `interrupted`.
  std::function<bool()> interrupted = {};
};

struct FileSystemPlace {
  chunker::ImageBlocks& blocks;
  Offset offset;  // of the file system, on the disk
};

// Calls `each` for every difference, in the order of the walk: a folder before what it holds, by name. Times do not count.
// Errors: cannot_customise, where one is no ext file system; read_failed, where it is damaged; those of reading the images.
Result<> compare_trees(const FileSystemPlace& before, const FileSystemPlace& after, const TreeDiffOptions& options,
                       const std::function<void(FileChange)>& each);

}  // namespace stampede::service

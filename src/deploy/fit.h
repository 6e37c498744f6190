// After the image: what makes it fit the disk that it is on, before first boot and before the disk can be booted. Everything
// outside the commit region is durable and read back by then. Works on the disk as it will be (Target::blocks), so an
// interrupted one has no table, is known as ours, and a second run begins this anew.
//
// The partition table: libfdisk, in memory (src/volume/table_edit.h). Growing: the last partition, and ext2/3/4 in it by
// resize2fs, checked before and after by e2fsck (src/volume/ext4_tools.h); other file systems keep their size.
//
// Fresh ids: disk GUID and partition GUIDs (an MBR's id), UUIDs of ext2/3/4 (tune2fs, which rewrites the checksums that hang
// on them) and swap. Files that mention them follow; an image where one cannot is refused, by what its tag record says
// (src/volume/id_mentions.h). FAT serials and what other file systems and volumes are called by stay.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/error.h"
#include "src/deploy/receipt.h"
#include "src/volume/block_access.h"
#include "src/volume/inspect.h"

namespace stampede::deploy {

struct FitOptions {
  bool grow = false;
  bool fresh_uuids = false;
};

// Can it be done to this image, on this machine? Before anything is written. Error: cannot_customise.
Result<> check_fit(const FitOptions& options, const volume::ImageFacts& facts);

struct FitWork {
  volume::BlockAccess& blocks;
  const volume::ImageFacts& facts;
  Size image;  // how much of the disk it fills
  std::function<void(std::string_view)> warn;
  std::function<bool()> go_on;  // run_tool.h
};

struct Fitted {
  FitFacts facts;
  std::string disk_guid;  // as it is now
  std::vector<std::string> changed_files;
};
// Errors: write_failed, those of the disk, `interrupted`.
Result<Fitted> fit(const FitOptions& options, const FitWork& work);

}  // namespace stampede::deploy

// Generalising: what lint (lint.h) finds in an image is removed from a copy of it, so that every machine made from the copy
// gets its own: machine-id emptied, host keys, leases, seeds and state of cloud-init removed. What files held is overwritten
// with zeros first, so that it is not in free blocks either.
//
// Nobody else would make new SSH host keys on a machine without cloud-init (and with it, where it finds no data source): a
// unit for systemd is put there that does where there are none, before the server starts.
#pragma once

#include <string>
#include <vector>

#include "src/base/error.h"
#include "src/volume/block_access.h"
#include "src/volume/finding.h"
#include "src/volume/inspect.h"

namespace stampede::volume {

struct Generalised {
  std::vector<Finding> removed;
  std::vector<std::string> written;  // files that were not there before
};

// The same disk always becomes the same one.
//
// Edits the disk, durably, and looks again: lint finds nothing in it any more. Errors: cannot_customise, where the root file
// system is not ext2/3/4, not clean, or cannot be edited, or where nothing in it could make new host keys;
// readback_mismatch; those of `blocks`. After an error the disk may be half edited.
Result<Generalised> generalise(BlockAccess& blocks, const ImageFacts& facts);

}  // namespace stampede::volume

// --generalise: what is packaged is a copy of a raw image from which volume::generalise has removed what copies must not
// share. The copy is a sparse file without a name in the store's folder, which takes as much room there as the image has
// data, or next to none where the file system can share it (reflink: XFS, btrfs). The image itself is only read.
#pragma once

#include <filesystem>
#include <functional>

#include "src/base/file.h"
#include "src/volume/generalise.h"

namespace stampede::service {

struct CopyOptions {
  // Called after each MiB from the calling thread; true ends it with `interrupted`.
  std::function<bool()> interrupted = {};
};

// A file or device as a sparse file without a name in `folder`; File::path() opens it anew in this process. Errors: usage,
// read_failed (also where the file changes meanwhile), no_space, write_failed, interrupted.
Result<File> unnamed_copy(const std::filesystem::path& folder, const std::filesystem::path& image,
                          const CopyOptions& options);

// Edits a copy, or another spool that nobody else uses; not durably. `name`: of what it is a copy. Errors: those of
// volume::generalise and volume::inspect.
Result<volume::Generalised> generalise_spool(const std::filesystem::path& spool, const std::string& name);

}  // namespace stampede::service

// Files that are made once and never replaced: keys and the CA's certificate.
#pragma once

#include <filesystem>

#include "src/base/bytes.h"
#include "src/base/error.h"

namespace stampede::trust {

// Makes `path` with all of `bytes`, durably, in mode `mode`; false if it exists already, which is then left alone. Of
// several processes that do so at once exactly one gets true, and nobody ever sees half a file.
Result<bool> publish(const std::filesystem::path& path, ByteView bytes, unsigned mode);

}  // namespace stampede::trust

// The headers of image files that qemu reads, as far as they may refer to other files, which is refused here, before qemu
// sees the file. Sources: qemu's docs/interop/qcow2.txt; VMware's "Virtual Disk Format 5.0".
#pragma once

#include <functional>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/units.h"
#include "src/formats/format.h"

namespace stampede::formats {

// Reads a range of the file, fewer bytes only at its end.
using ReadFile = std::function<Result<Bytes>(Offset at, std::size_t length)>;

// For qcow2, vmdk, vhdx and vdi. Errors: usage, naming `file`, where it is none of that kind, refers to another file
// (backing or parent, external data, further extents), is encrypted, marked corrupt, or wants what this reader does not
// know; those of `read`. Reads at most 64 KiB.
Result<> check_image_header(Kind kind, const ReadFile& read, std::string_view file);

}  // namespace stampede::formats

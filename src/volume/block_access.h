// Byte-addressed access to a disk under construction: what Ext4 edits through, so that the commit region (held back in
// memory until the end) and the disk look like one device, and tests can inject faults.
#pragma once

#include <filesystem>
#include <memory>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/units.h"

namespace stampede::volume {

// Not thread-safe unless the implementation says so. Offsets and sizes need no alignment.
class BlockAccess {
 public:
  virtual ~BlockAccess() = default;
  virtual Size size() const = 0;
  virtual Result<> read(Offset offset, MutableBytes out) = 0;
  virtual Result<> write(Offset offset, ByteView bytes) = 0;
  // Durable when it returns.
  virtual Result<> flush() = 0;
};

// A file or block device, read-only unless `writable`.
Result<std::unique_ptr<BlockAccess>> open_blocks(const std::filesystem::path& path, bool writable);

}  // namespace stampede::volume

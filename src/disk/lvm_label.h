// To which LVM volume group a physical volume belongs, as its label says; libblkid does not tell.
//
// LVM2's on-disk format (lib/format_text/layout.h), little-endian. In one of the first four sectors of 512 bytes:
//   0  8  "LABELONE"     20  4  offset of the header in the sector     24  8  "LVM2 001"
// The header: 32 bytes of UUID, u64 size; pairs of u64 offset and size, of data areas up to a zero pair, then of metadata
// areas up to another. A metadata area's header:
//   4 16  " LVM2 x[5A%r0N*>"     40  8  offset of the text in the area     48  8  its size
// The text begins: NAME {  id = "xxxxxx-xxxx-xxxx-xxxx-xxxx-xxxx-xxxxxx". Read at most 4 KiB of it.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "src/base/bytes.h"
#include "src/base/units.h"

namespace stampede::disk {

struct VolumeGroup {
  std::string name;
  std::string id;  // 32 characters, without dashes, as in the kernel's "LVM-" names
};

// Reads a range of the physical volume; false where it cannot.
using ReadAt = std::function<bool(Offset, MutableBytes)>;
// Nothing where there is no sound label, or no metadata.
std::optional<VolumeGroup> find_volume_group(const ReadAt& read);

}  // namespace stampede::disk

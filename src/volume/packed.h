// What stands inside an initramfs, or anything else that is compressed.
#pragma once

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/volume/ids.h"

namespace stampede::volume {

// Is it compressed, or a cpio archive?
bool is_packed(ByteView file);
// Does what it holds mention one of the ids? An initramfs is a row of cpio archives, each compressed or not; what follows
// the first compressed one is not looked at. Error: read_failed where it cannot be unpacked, or holds more than 4 GiB.
Result<bool> packed_mentions(ByteView file, const NewIds& ids);

}  // namespace stampede::volume

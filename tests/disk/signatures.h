// Marks that volume managers leave on disks, written by hand: what libblkid knows them by, and what the guard reads of them.
#pragma once

#include <string>

#include "src/base/bytes.h"
#include "src/base/units.h"

namespace stampede::disk {

// Each writes into `disk`, or into a partition of it.
void write_lvm(MutableBytes disk, const std::string& group, const std::string& group_id);
void write_zfs(MutableBytes disk, const std::string& pool, std::uint64_t guid = 0);  // at least 64 MiB
void write_md_0_90(MutableBytes disk);                                               // 64 to 128 KiB before the end

}  // namespace stampede::disk

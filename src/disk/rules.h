// The guard's rules, each by itself and in their order: what of a disk forbids to write it. Pure.
#pragma once

#include <string_view>

#include "src/disk/content.h"
#include "src/disk/guard.h"

namespace stampede::disk {

// mounted, swap, in_use, read_only, own_disk.
Result<> check_unused(const Disk& disk);
// removable.
Result<> check_removable(const Disk& disk, const Selector& selector);
Error removable_error(std::string_view path, std::string_view selector);
// too_small.
Result<> check_size(const Disk& disk, const Needs& needs);
// sector_size.
Result<> check_sector(const Disk& disk, const Needs& needs);
// foreign_content.
Result<> check_content(const Disk& disk, const Look& look, const Needs& needs);

// Does --overwrite name this disk: by GUID, serial, WWN or path, as a selector or without its prefix?
bool overwrite_names(std::string_view overwrite, const Disk& disk);

}  // namespace stampede::disk

// Images of virtual machine monitors: qcow2, vmdk, vhdx, vdi.
#pragma once

#include "src/formats/unpack_impl.h"

namespace stampede::formats {

// What is not zero in them is copied into the spool; the rest is not even read. Errors: those of check_image_header();
// usage, where qemu says no, or more than 1,100 times the file's size is said to be data: tables that name the same place
// again and again; or where they name what lies behind the file's end.
Result<> copy_container(const File& source, Kind kind, Spool& spool, const UnpackOptions& options);

}  // namespace stampede::formats

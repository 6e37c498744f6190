// What an image's root file system says of itself.
#pragma once

#include "src/base/file.h"
#include "src/volume/block_access.h"
#include "src/volume/inspect.h"

namespace stampede::volume {

// The machine ("x86_64") that a discoverable partition type is the root of; nothing for other types.
std::optional<std::string> architecture_of_type(std::string_view type_guid);
// The machine that an ELF file is for, as uname -m has it, from at least its first 20 bytes.
std::optional<std::string> architecture_of_elf(ByteView file);

// Which partition is the root, by the rule of inspect(). `facts` has its partitions.
std::optional<RootFacts> find_root(BlockAccess& blocks, const ImageFacts& facts);
// Fills architecture, cloud_init and os_release from the root file system.
void look_into_root(BlockAccess& blocks, ImageFacts& facts);

}  // namespace stampede::volume

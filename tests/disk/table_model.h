// Partition tables as their readers see them: what the kernel, OVMF and sgdisk would take from the bytes of a disk.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/base/bytes.h"
#include "src/disk/commit_region.h"

namespace stampede::disk {

struct Table {
  std::byte id{};  // every byte of the disk GUID, or of an MBR's id
  std::vector<Range> partitions;
};

// Writes a protective MBR and both GPTs into the bytes, for a disk of `size` at its start.
void write_gpt(MutableBytes disk, Size size, std::uint32_t sector, const Table& table);
void write_mbr(MutableBytes disk, const Table& table);

struct Seen {
  std::optional<Table> kernel, ovmf, sgdisk;
};
Seen read_tables(ByteView disk, std::uint32_t sector);

}  // namespace stampede::disk

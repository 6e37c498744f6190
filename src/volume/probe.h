// libblkid's home: partition tables, and signatures of file systems, RAID, LVM, encryption. Thread-safe (no shared state).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/base/file.h"
#include "src/volume/inspect.h"

namespace stampede::volume {

struct Table {
  std::string kind;  // "gpt" or "dos"
  std::string id;
  std::uint32_t sector_size = 512;
  std::vector<PartitionFacts> partitions;  // without what their file systems say
};

// A table written for `sector_size`. `lone_backup`: also a GPT of which only the backup at the end is left.
std::optional<Table> find_table(const File& disk, Size size, std::uint32_t sector_size, bool lone_backup);
// The same at the disk's own sector size, at 512 and at 4096. A GPT is preferred, then a table that has partitions.
std::optional<Table> find_table(const File& disk, Size size, bool lone_backup);

struct Signature {
  std::string type;   // libblkid's TYPE
  std::string usage;  // "filesystem", "raid", "crypto", "other"
  std::string label;
  std::string uuid;
};
// The one signature of a range; empty where there is none, or more than one that contradict each other.
Signature find_signature(const File& disk, Offset offset, Size length);
// Every signature that libblkid knows, damaged ones and partition tables' names included. Error: read_failed.
Result<std::vector<Signature>> find_all_signatures(const File& disk, Size size);

}  // namespace stampede::volume

#include <fcntl.h>

#include <algorithm>

#include "src/volume/inspect.h"
#include "src/volume/probe.h"

namespace stampede::volume {

namespace {

// What a damaged file system says of itself is not worth less than to take all of it.
std::vector<BlockRange> used_of(BlockAccess& blocks, Offset offset, Size length, std::string_view type) {
  if (type == "swap") return {};
  if (is_ext(type)) {
    if (auto files = Ext4::look(blocks, offset)) {
      if (auto used = files->used()) return *std::move(used);
    }
  }
  return {{offset, length}};
}

}  // namespace

Result<std::vector<BlockRange>> used_ranges(const std::filesystem::path& path) {
  STAMPEDE_TRY(const File disk, File::open(path, O_RDONLY));
  STAMPEDE_TRY(const Size size, disk.size());
  STAMPEDE_TRY(const auto blocks, open_blocks(path, false));
  std::vector<BlockRange> out;
  const auto add = [&](Offset offset, Size length) {
    const std::string type = find_signature(disk, offset, length).type;
    const auto used = used_of(*blocks, offset, length, type);
    out.insert(out.end(), used.begin(), used.end());
  };
  if (const auto table = find_table(disk, size, false)) {
    for (const PartitionFacts& partition : table->partitions)
      if (partition.offset.bytes < size.bytes)
        add(partition.offset, std::min(partition.length, Offset{size.bytes} - partition.offset));
  } else if (!find_signature(disk, {}, size).type.empty()) {
    add({}, size);
  }
  std::ranges::sort(out, {}, &BlockRange::at);
  return out;
}

}  // namespace stampede::volume

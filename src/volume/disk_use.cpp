#include <fcntl.h>

#include <algorithm>
#include <iterator>

#include "src/volume/fat.h"
#include "src/volume/free_space.h"
#include "src/volume/inspect.h"
#include "src/volume/off_grid.h"
#include "src/volume/places.h"

namespace stampede::volume {

namespace {

// What a damaged file system says of itself is not worth less than to take all of it. Nothing of it is called free but by
// one that is sound and was unmounted: of others the bitmaps may be out of date.
DiskUse use_of_ext(BlockAccess& blocks, const Range& whole) {
  DiskUse out{{whole}, {}, {}};
  auto files = Ext4::open(blocks, whole.at, false);
  const bool sound = files.has_value();
  if (!sound) files = Ext4::look(blocks, whole.at);
  if (!files) return out;
  if (auto used = files->used(); used && used->size() <= kMostFreeRanges) {
    const auto idle = files->idle();
    out.used = idle && idle->size() <= kMostFreeRanges ? without(*used, *idle) : *std::move(used);
  }
  if (!sound) return out;
  if (auto free = files->unused(); free && free->size() <= kMostFreeRanges) out.free = *std::move(free);
  return out;
}

DiskUse use_of(BlockAccess& blocks, const Range& whole, std::string_view type) {
  if (type == "swap") return {};
  if (is_ext(type)) return use_of_ext(blocks, whole);
  DiskUse out{{whole}, {}, {}};
  if (type != "vfat") return out;
  const auto files = Fat::open(blocks, whole.at, whole.length);
  if (!files) return out;
  out.off_grid = off_grid_of(*files, whole.length);
  if (auto free = files->unused(); free && free->size() <= kMostFreeRanges) {
    out.used = without({whole}, *free);
    out.free = *std::move(free);
  }
  return out;
}

}  // namespace

Result<DiskUse> disk_use(const std::filesystem::path& path) {
  STAMPEDE_TRY(const File disk, File::open(path, O_RDONLY));
  STAMPEDE_TRY(const Size size, disk.size());
  STAMPEDE_TRY(const auto blocks, open_blocks(path, false));
  DiskUse out;
  for (const Place& place : places_on(disk, size)) {
    if (place.partition == 0 && place.type.empty()) continue;
    const DiskUse use = use_of(*blocks, {place.at, place.length}, place.type);
    out.used.insert(out.used.end(), use.used.begin(), use.used.end());
    out.free.insert(out.free.end(), use.free.begin(), use.free.end());
    // Where partitions overlap, the first has it.
    for (const Range& piece : use.off_grid)
      if (out.off_grid.empty() || out.off_grid.back().end() <= piece.at) out.off_grid.push_back(piece);
  }
  std::ranges::sort(out.used, {}, &Range::at);
  std::ranges::sort(out.free, {}, &Range::at);
  return out;
}

}  // namespace stampede::volume

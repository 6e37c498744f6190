#include "src/volume/off_grid.h"

#include <fcntl.h>

#include <algorithm>

#include "src/volume/fat.h"
#include "src/volume/places.h"

namespace stampede::volume {

namespace {

constexpr std::uint64_t kBlock = 4096, kSector = 512;

void add_off_grid(const Fat& fat, std::vector<BlockRange>& out) {
  const auto files = fat.files();
  if (!files) return;
  for (const Fat::Entry& file : *files) {
    const auto pieces = fat.where(file);
    if (!pieces) continue;
    for (const BlockRange& piece : *pieces)
      if (piece.length >= kLeastOffGrid && piece.at.bytes % kBlock != 0 && piece.at.bytes % kSector == 0)
        out.push_back({piece.at, {round_up(piece.length.bytes, kSector)}});
  }
}

}  // namespace

Result<std::vector<BlockRange>> find_off_grid(const std::filesystem::path& path) {
  STAMPEDE_TRY(const File disk, File::open(path, O_RDONLY));
  STAMPEDE_TRY(const Size size, disk.size());
  STAMPEDE_TRY(const auto blocks, open_blocks(path, false));
  std::vector<BlockRange> found, out;
  for (const Place& place : places_on(disk, size)) {
    if (place.type != "vfat") continue;
    if (const auto fat = Fat::open(*blocks, place.at, place.length)) add_off_grid(*fat, found);
  }
  std::ranges::sort(found, {}, &BlockRange::at);
  // Of files that share clusters the first has them.
  for (const BlockRange& piece : found)
    if ((out.empty() || out.back().end() <= piece.at) && piece.end().bytes <= size.bytes) out.push_back(piece);
  return out;
}

}  // namespace stampede::volume

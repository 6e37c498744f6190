#include "src/volume/off_grid.h"

#include <fcntl.h>

#include <algorithm>

#include "src/volume/free_space.h"
#include "src/volume/places.h"

namespace stampede::volume {

namespace {
constexpr std::uint64_t kBlock = 4096, kSector = 512;
}

// Nothing where it is damaged: the files of a sound one share nothing, so that all of them have no more than it holds.
std::vector<Range> off_grid_of(const Fat& fat, Size whole) {
  const auto files = fat.files();
  if (!files) return {};
  std::vector<Range> out;
  Size all;
  for (const Fat::Entry& file : *files) {
    const auto pieces = fat.where(file);
    if (!pieces) return {};
    for (const Range& piece : *pieces) {
      all += piece.length;
      if (piece.length >= kLeastOffGrid && piece.at.bytes % kBlock != 0 && piece.at.bytes % kSector == 0)
        out.push_back({piece.at, {round_up(piece.length.bytes, kSector)}});
    }
    if (all > whole || out.size() > kMostFreeRanges) return {};
  }
  std::ranges::sort(out, {}, &Range::at);
  const auto shared = std::ranges::adjacent_find(out, [](const auto& a, const auto& b) { return a.end() > b.at; });
  return shared == out.end() ? out : std::vector<Range>{};
}

Result<std::vector<Range>> find_off_grid(const std::filesystem::path& path) {
  STAMPEDE_TRY(const File disk, File::open(path, O_RDONLY));
  STAMPEDE_TRY(const Size size, disk.size());
  STAMPEDE_TRY(const auto blocks, open_blocks(path, false));
  std::vector<Range> out;
  for (const Place& place : apart(places_on(disk, size))) {
    if (place.type != "vfat") continue;
    const auto fat = Fat::open(*blocks, place.at, place.length);
    if (!fat) continue;
    const auto found = off_grid_of(*fat, place.length);
    if (out.size() + found.size() <= kMostFreeRanges) out.insert(out.end(), found.begin(), found.end());
  }
  return out;
}

}  // namespace stampede::volume

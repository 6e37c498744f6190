#include "src/volume/free_space.h"

#include <fcntl.h>

#include <algorithm>

#include "src/volume/domain_map.h"
#include "src/volume/fat.h"
#include "src/volume/inspect.h"
#include "src/volume/lvm.h"
#include "src/volume/places.h"
#include "src/volume/superblock.h"
#include "src/volume/swap.h"

namespace stampede::volume {

namespace {

// Boot loaders and both copies of a GPT.
constexpr Size kEdge = 1_MiB;

Result<std::vector<Range>> free_of_ext(BlockAccess& blocks, const Place& place) {
  STAMPEDE_TRY(const Superblock super, read_superblock(blocks, place.at));
  if (super.blocks > place.length.bytes / super.block_size)
    return fail(Code::cannot_customise, "the file system is larger than its partition");
  STAMPEDE_TRY(const Ext4 files, Ext4::open(blocks, place.at, false));
  return files.unused();
}

Result<std::vector<Range>> free_of_fat(BlockAccess& blocks, const Place& place) {
  STAMPEDE_TRY(const Fat fat, Fat::open(blocks, place.at, place.length));
  return fat.unused();
}

// Nothing where it is of no known kind, or holds nothing to leave out.
Result<std::vector<Range>> free_of(BlockAccess& blocks, const Place& place, const std::function<bool()>& go_on) {
  if (is_ext(place.type)) return free_of_ext(blocks, place);
  if (place.type == "swap") return swapped_out(blocks, place.at, place.length);
  if (place.type == "vfat") return free_of_fat(blocks, place);
  if (place.type == "LVM2_member") return free_extents(blocks, place.at, place.length);
  if (partclone_knows(place.type)) return free_by_partclone(blocks, place.at, place.length, place.type, go_on);
  return std::vector<Range>{};
}

std::string name_of(const Place& place) {
  return place.partition == 0 ? std::string("the whole disk") : fmt::format("partition {}", place.partition);
}

// Keeps what lies within the place and off the edges of the disk.
void add_within(std::vector<Range>& out, std::span<const Range> ranges, const Place& place, Size size) {
  if (size <= kEdge * 2) return;
  const Offset begin = std::max(place.at, Offset{kEdge.bytes});
  const Offset end = std::min(place.end(), Offset{(size - kEdge).bytes});
  for (const Range& range : ranges) {
    const Offset from = std::max(range.at, begin), to = std::min(range.end(), end);
    if (from < to) out.push_back({from, to - from});
  }
}

}  // namespace

Result<FreeSpace> find_free_space(const std::filesystem::path& path, const std::function<bool()>& go_on) {
  STAMPEDE_TRY(const File disk, File::open(path, O_RDONLY));
  STAMPEDE_TRY(const Size size, disk.size());
  STAMPEDE_TRY(const auto blocks, open_blocks(path, false));
  FreeSpace out;
  const std::vector<Place> places = places_on(disk, size);
  if (std::ranges::find(places, "DM_verity_hash", &Place::type) != places.end()) {
    out.taken_whole.emplace_back("the disk has dm-verity's hashes, which cover free blocks too");
    return out;
  }
  for (const Place& place : apart(places)) {
    auto found = free_of(*blocks, place, go_on);
    if (!found && found.error().code == Code::interrupted) return std::unexpected(found.error());
    if (found && found->size() > kMostFreeRanges)
      found = fail(Code::cannot_customise, "its free space is in more than {} pieces", kMostFreeRanges);
    if (found)
      add_within(out.ranges, *found, place, size);
    else
      out.taken_whole.push_back(fmt::format("{} ({}): {}", name_of(place), place.type, found.error().message));
  }
  return out;
}

}  // namespace stampede::volume

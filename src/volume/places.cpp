#include "src/volume/places.h"

#include <algorithm>

#include "src/volume/inspect.h"
#include "src/volume/probe.h"

namespace stampede::volume {

std::vector<Place> places_on(const File& disk, Size size) {
  std::vector<Place> out;
  const auto add = [&](unsigned partition, Offset at, Size length) {
    out.push_back({partition, at, length, find_signature(disk, at, length).type});
  };
  const auto table = find_table(disk, size, false);
  if (!table) add(0, {}, size);
  if (!table) return out;
  for (const PartitionFacts& partition : table->partitions) {
    if (is_extended(partition.type) || partition.offset.bytes >= size.bytes) continue;
    add(partition.number, partition.offset, std::min(partition.length, Offset{size.bytes} - partition.offset));
  }
  std::ranges::sort(out, {}, &Place::at);
  return out;
}

std::vector<Place> apart(const std::vector<Place>& places) {
  std::vector<Place> out;
  Offset end;  // of all before
  for (std::size_t i = 0; i < places.size(); ++i) {
    const bool alone = places[i].at >= end && (i + 1 == places.size() || places[i].end() <= places[i + 1].at);
    end = std::max(end, places[i].end());
    if (alone) out.push_back(places[i]);
  }
  return out;
}

}  // namespace stampede::volume

// Where file systems lie on a disk. Private to this room.
#pragma once

#include <string>
#include <vector>

#include "src/base/file.h"
#include "src/volume/ext4.h"

namespace stampede::volume {

// A partition, or the whole disk where it has none.
struct Place {
  unsigned partition = 0;  // 0: the whole disk
  Offset at;
  Size length;
  std::string type;  // libblkid's TYPE; empty: not known
  Offset end() const { return at + length; }
};

// In order; they may overlap. Partitions that only frame others are left out.
std::vector<Place> places_on(const File& disk, Size size);
// Those of them that share no blocks with another: of blocks that are shared it is not known whose they are.
std::vector<Place> apart(const std::vector<Place>& places);

}  // namespace stampede::volume

// What two images have in common, by their manifests alone: no chunk is read.
//
// Memory: 12 bytes for each record of both.
#pragma once

#include <vector>

#include "chunker/manifest.h"

namespace stampede::chunker {

// Plain bytes, of data in a partition of the second image. A chunk that crosses a partition's start counts where it begins.
struct PartitionDiff {
  std::uint32_t partition = 0;  // 0: outside of all
  Size before;                  // the first image's data there
  Size after;                   // the second one's: what follows adds up to it
  Size same;                    // in the same place of the first image
  Size shared;                  // elsewhere in it, or again in the second one
  Size fresh;                   // that the first image lacks: what a target that has it must fetch
  bool differs() const { return same != after || before != after; }
};

struct ManifestDiff {
  std::vector<PartitionDiff> partitions;  // of the second image, by number; what is outside first
  Size gone;                              // of the first image's data that the second one lacks, each chunk once
  PartitionDiff total() const;
};
ManifestDiff diff(const Manifest& before, const Manifest& after);

}  // namespace stampede::chunker

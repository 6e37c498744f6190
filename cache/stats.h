// What a store holds, and what of it each image has for itself.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cache/catalog.h"
#include "src/base/error.h"

namespace stampede::cache {

class PackSet;

struct ImageUse {
  chunker::ImageId image;
  std::vector<std::string> names;  // of the tags that name it now
  Size disk, data;                 // its size, and what of it is neither zero nor unspecified
  Size own, shared;                // in packs: of chunks that no other image needs, and of the others
};

struct StoreStats {
  std::vector<ImageUse> images;  // also those that only history names
  std::uint64_t tags = 0;
  std::uint64_t packs = 0, damaged_packs = 0;  // that can be opened, and that cannot
  std::uint64_t chunks = 0, live_chunks = 0;   // copies of chunks; those that an image needs
  Size plain, sealed;                          // of all copies
  Size packs_size;                             // of the packs' files
  Size live, garbage;                          // of their records
  Size catalog;                                // of its files
  std::vector<std::string> problems;           // images that could not be read: what they need counts as garbage

  Size data() const;  // of all images together
  // Data of the images for each byte that is kept for them; 0 where nothing is.
  double ratio() const;
};

struct StatsOptions {
  std::function<void(std::uint64_t done, std::uint64_t total)> progress = {};  // images, twice each
  std::function<bool()> interrupted = {};
};

// Memory: two bits for each chunk, and a footer. Every manifest is read twice. Errors: those of the catalog; interrupted.
Result<StoreStats> measure_store(const std::filesystem::path& folder, PackSet& packs, Catalog& catalog,
                                 const StatsOptions& options);

}  // namespace stampede::cache

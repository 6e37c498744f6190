// Mends a store: what is sound in damaged packs goes into new ones, the damaged files out of the way (<store>/damaged, where
// nothing is ever removed), and chunks of which the store has no sound copy come from another depot.
//
// Memory: that of a check (store_check.h), a pack's ids (26 MiB), and kRepairBatch records under way.
#pragma once

#include "src/deploy/access.h"
#include "src/service/store_check.h"

namespace stampede::service {

inline constexpr std::size_t kRepairBatch = 16;

// Of AccessOptions what is needed to fetch.
struct RepairOptions : deploy::AccessOptions {
  bool fetch = false;    // from the depot
  bool dry_run = false;  // says what is damaged, and changes nothing
  StoreCheckOptions check = {};
  std::function<void(std::uint64_t done, std::uint64_t total)> fetching = [](std::uint64_t, std::uint64_t) {};
};

struct NotMended {
  chunker::ChunkId chunk;
  std::string images;  // "a:1, b:2"
  std::string why;
};

struct Repaired {
  std::vector<std::string> packs;            // that were damaged
  std::vector<std::filesystem::path> aside;  // where they are now; fewer where one was mended in its place
  std::uint64_t kept = 0;                    // sound chunks of theirs
  std::uint64_t lost = 0;                    // chunks without a sound copy, before
  std::uint64_t fetched = 0;                 // of those
  Size fetched_bytes;                        // sealed
  std::vector<NotMended> not_mended;         // of those
  std::vector<std::string> problems;         // what is not about chunks, and is left as it was

  bool sound() const { return not_mended.empty() && problems.empty(); }
};

// Errors: those of the check, of the line to the depot, no_space, write_failed. What was mended before stays.
Result<Repaired> repair_store(cache::Store& store, const RepairOptions& options);

}  // namespace stampede::service

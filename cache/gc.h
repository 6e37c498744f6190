// Garbage collection: gives back the space of chunks that no image needs. The protocol by which it is safe beside everything
// else stands in store.h.
#pragma once

#include <functional>
#include <string_view>

#include "cache/catalog.h"
#include "src/base/error.h"
#include "src/base/seams.h"

namespace stampede::cache {

class PackSet;

enum class GcStage {
  marking,  // what the images need; images
  waiting,  // for imports that began before the packs to go were named; how many are left
  copying,  // what is needed out of them; bytes
};
std::string_view name_of(GcStage stage);

struct GcOptions {
  // Younger packs stay: an import that was killed finds its chunks again when it is repeated.
  Duration grace = std::chrono::hours(1);
  // A pack of which so much is garbage, in percent, is repacked; 1 to 100. (And so are small ones, where there are many.)
  unsigned garbage = 25;
  // How long imports are waited for.
  Duration wait = std::chrono::hours(1);
  bool dry_run = false;  // only says what it would do
  // Called in the collecting thread, often.
  std::function<void(GcStage stage, std::uint64_t done, std::uint64_t total)> progress = {};
  std::function<bool()> interrupted = {};
};

struct GcReport {
  std::uint64_t images = 0;  // that were kept, with those that are only leased
  std::uint64_t packs = 0;   // that there were
  std::uint64_t chunks = 0, live_chunks = 0;
  Size size, live;  // of all records; of those that are needed
  // Packs that went: without anything needed in them, and with something, which was copied. In a dry run: that would go.
  std::uint64_t removed_packs = 0, repacked_packs = 0;
  Size freed;                         // by both
  Size copied;                        // of this
  std::uint64_t young_packs = 0;      // with garbage, but within the grace time
  std::uint64_t missing = 0;          // chunks that images name and that are nowhere
  std::vector<std::string> problems;  // packs that were left because they could not be read
};

// Memory: two bits for each chunk, and the footers of two packs. It may end anywhere, killed too: what it has done stays
// done, and the next one goes on. Errors: busy, where another collects, or an import took longer than `wait`; interrupted;
// those of reading an image's manifest, for what it needs is not known then; no_space, write_failed. `leases`: the store's
// folder of them; `packs_folder`: that of `packs`.
Result<GcReport> collect_garbage(const std::filesystem::path& packs_folder, const std::filesystem::path& leases,
                                 PackSet& packs, Catalog& catalog, Clock& clock, const GcOptions& options);

}  // namespace stampede::cache

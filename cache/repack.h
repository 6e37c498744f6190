// The removing half of a garbage collection: copies what is needed out of packs, then unlinks them. One thread. Not for
// other rooms.
#pragma once

#include <filesystem>
#include <vector>

#include "cache/gc.h"
#include "cache/marks.h"
#include "cache/pack_writer.h"

namespace stampede::cache {

// A pack is unlinked when all that is needed of it is in packs that are published and durable; where it is killed before,
// those chunks are in the store twice. A record that is altered stays where it is, with its pack.
class Repacker {
 public:
  // `to_copy`: about how much, for the progress.
  Repacker(const std::filesystem::path& folder, const Marks& marks, const GcOptions& options, Size to_copy, GcReport& report)
      : folder_(folder), marks_(marks), options_(options), to_copy_(to_copy), report_(report) {}

  // Errors: interrupted, no_space, write_failed, ...
  Result<> take(std::size_t pack);
  // Publishes and unlinks what is left.
  Result<> finish();

 private:
  Result<> copy(const Pack& pack, std::span<const PackEntry> run);
  Result<> publish();
  Result<> unlink(const Pack& pack);

  const std::filesystem::path& folder_;
  const Marks& marks_;
  const GcOptions& options_;
  const Size to_copy_;
  GcReport& report_;
  std::unique_ptr<PackWriter> writer_;
  std::vector<const Pack*> copied_;  // into packs of which the last is the writer's
  Bytes sealed_;
};

}  // namespace stampede::cache

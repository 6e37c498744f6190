// What can be had of a damaged pack: its sound records go into a new pack, and the file itself out of the way. Not for other
// rooms; see store.h.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "cache/pack.h"
#include "cache/store.h"

namespace stampede::cache {

// Every record of a pack that is sound by its own checks, wherever in the file, whatever became of its footer and of the
// records before it. Memory: the largest record, and a window of 1 MiB.
Result<> scan_all(const File& file, const std::function<Result<>(const PackEntry& entry, ByteView sealed)>& take);

// `name`: a pack in `folder`. It is moved to `aside`, after what is sound in it is durable elsewhere. Nothing is ever
// removed.
Result<Salvaged> salvage_pack(const std::filesystem::path& folder, const std::string& name,
                              const std::filesystem::path& aside);

// The packs of `folder` that cannot be opened since they are damaged.
Result<std::vector<std::string>> damaged_packs(const std::filesystem::path& folder);

}  // namespace stampede::cache

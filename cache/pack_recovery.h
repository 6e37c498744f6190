// What a crash left behind: ".open" packs whose writer is gone.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cache/pack.h"

namespace stampede::cache {

struct SoundRecords {
  std::vector<PackEntry> entries;  // the first of each id, at most kPackEntries
  Offset end;                      // just after the last of them; kPackHead if there is none
};
// Reads an unclosed pack up to the first record that is not sound. Errors: read_failed.
Result<SoundRecords> scan_records(const File& file);

// Publishes the sound records of every such pack in `folder`, and removes those without any. Safe against writers and other
// recoverers at work. Returns a line for each, also where it failed. Errors: usage (no such folder).
Result<std::vector<std::string>> recover_packs(const std::filesystem::path& folder);

}  // namespace stampede::cache

// `stampede store`: each of its subcommands has a file of its own, store_<subcommand>.cpp.
#pragma once

#include "cache/store.h"
#include "tools/stampede/command.h"

namespace stampede::tools {

void add_store_check(CLI::App& store, Action& action);
void add_store_repair(CLI::App& store, Action& action);
void add_store_gc(CLI::App& store, Action& action);
void add_store_stats(CLI::App& store, Action& action);

// Opens a store that is there already: looking after one never makes it. Error: also not_found.
Result<std::unique_ptr<cache::Store>> open_present_store(const std::filesystem::path& folder);

}  // namespace stampede::tools

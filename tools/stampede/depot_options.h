// How a command reaches a depot as a node of its site: the same options everywhere.
#pragma once

#include "src/deploy/access.h"
#include "tools/stampede/command.h"

namespace stampede::tools {

struct DepotArguments {
  std::string depot, token_file;
  std::string state = default_state();
  std::string patience = "2m";
};

// `required`: that a depot is named.
void add_depot_options(CLI::App& command, DepotArguments& arguments, bool required = true);
// No peers, no multicast: the depot alone.
Result<> read_depot_options(const DepotArguments& arguments, deploy::AccessOptions& options);

}  // namespace stampede::tools

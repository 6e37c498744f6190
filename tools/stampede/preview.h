// `stampede deploy --dry-run`.
#pragma once

#include "src/deploy/several.h"

namespace stampede::tools {

// Prints what the deployment would do, on stdout. Errors: as it would be refused.
Result<> show_previews(const std::vector<deploy::Options>& all, bool as_json);

}  // namespace stampede::tools

// `stampede deploy --dry-run`.
#pragma once

#include "src/deploy/deployment.h"

namespace stampede::tools {

// Prints what the deployment would do, on stdout. Errors: as it would be refused.
Result<> show_preview(const deploy::Options& options, bool as_json);

}  // namespace stampede::tools

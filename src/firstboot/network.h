// The network part of an instance, already parsed.
#pragma once

#include "src/firstboot/instance.h"
#include "src/firstboot/yaml.h"

namespace stampede::firstboot {

// As parse_network(), with errors at their line and column.
Result<std::string> network_from(const Yaml& value);

}  // namespace stampede::firstboot

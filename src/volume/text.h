// Text from disks, which anybody may have written.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "src/base/text.h"

namespace stampede::volume {

// os-release(5): KEY=value lines in shell quoting, comments skipped. What is malformed is left out; at most 256 keys.
std::map<std::string, std::string> parse_os_release(std::string_view text);

}  // namespace stampede::volume

// Text from disks, which anybody may have written.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace stampede::volume {

// Valid UTF-8 without control characters, so that it can go to terminals and into JSON: what is neither becomes '?'.
std::string printable(std::string_view text);

// os-release(5): KEY=value lines in shell quoting, comments skipped. What is malformed is left out; at most 256 keys.
std::map<std::string, std::string> parse_os_release(std::string_view text);

}  // namespace stampede::volume

// Programs that read what strangers have made: they run as nobody, without capabilities, in namespaces of their own, without
// any network, within limits of memory and processor time, and die with the thread that started them.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "src/base/error.h"
#include "src/base/units.h"

namespace stampede::volume {

struct Confinement {
  Size memory = 1_GiB;  // of addresses (RLIMIT_AS)
  std::chrono::seconds processor{300};
};

// Who such a program is, where root starts it: it owns nothing. Any other user's program stays that user's, in a user
// namespace.
inline constexpr unsigned kNobody = 65534;

// What to start (run_tool.h) so that `path arguments…` runs so; its files are those that it is handed, and what everybody
// may read. Errors: usage, where a program of util-linux is missing, or this kernel gives this user no namespaces.
struct ConfinedCommand {
  std::string path;
  std::vector<std::string> arguments;
};
Result<ConfinedCommand> confine(const std::string& path, std::vector<std::string> arguments, const Confinement& limits);

}  // namespace stampede::volume

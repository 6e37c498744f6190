#include "src/volume/confine.h"

#include <unistd.h>

#include "src/volume/run_tool.h"

namespace stampede::volume {

namespace {

// What it says must fit; nothing else is for it to write.
constexpr std::uint64_t kMostWritten = 64 * 1024;
constexpr std::uint64_t kMostFiles = 64;

Result<std::string> tool(std::string_view name) {
  auto path = find_tool(name, "util-linux");
  if (!path) return fail(Code::usage, "{}", path.error().message);
  return *std::move(path);
}

void append(std::vector<std::string>& line, std::initializer_list<std::string> words) { line.insert(line.end(), words); }

}  // namespace

Result<ConfinedCommand> confine(const std::string& path, std::vector<std::string> arguments, const Confinement& limits) {
  STAMPEDE_TRY(const std::string setpriv, tool("setpriv"));
  STAMPEDE_TRY(const std::string unshare, tool("unshare"));
  STAMPEDE_TRY(const std::string prlimit, tool("prlimit"));
  const bool root = ::geteuid() == 0;
  ConfinedCommand command{setpriv, {"--pdeathsig", "KILL", "--", unshare}};
  auto& line = command.arguments;
  // Namespaces of its own need a privilege that other users have in a user namespace alone.
  if (!root) append(line, {"--user", "--map-current-user", "--keep-caps"});
  append(line, {"--net", "--ipc", "--uts", "--mount", "--pid", "--fork", "--kill-child=KILL", "--"});
  append(line, {prlimit, fmt::format("--as={}", limits.memory.bytes), fmt::format("--cpu={}", limits.processor.count()),
                fmt::format("--fsize={}", kMostWritten), fmt::format("--nofile={}", kMostFiles), "--core=0", "--"});
  append(line, {setpriv});
  // Changing who it is makes the kernel forget to end it with its parent, so that is said once more.
  if (root) append(line, {fmt::format("--reuid={}", kNobody), fmt::format("--regid={}", kNobody), "--clear-groups"});
  append(line, {"--ambient-caps=-all", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--pdeathsig=KILL", "--",
                path});
  line.insert(line.end(), std::make_move_iterator(arguments.begin()), std::make_move_iterator(arguments.end()));
  return command;
}

}  // namespace stampede::volume

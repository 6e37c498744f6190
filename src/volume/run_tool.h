// Runs a program of the system, without a shell: to its end, or beside this one.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/error.h"
#include "src/base/file.h"

namespace stampede::volume {

// Where the program is: /usr/sbin, /sbin, /usr/bin or /bin. Error: cannot_customise, naming the Debian package to install.
Result<std::string> find_tool(std::string_view name, std::string_view package);

struct ToolRun {
  int status = 0;      // exit status; 128 + N where signal N ended it
  std::string output;  // both streams, at most the first 64 KiB
  std::string last_line() const;
};

// The path by which a tool reaches the file that is handed to it; where several are, they have the numbers from this one on.
inline constexpr int kToolFileNumber = 9;
inline constexpr std::string_view kToolFile = "/proc/self/fd/9";

// A program that runs. `path` from find_tool(). Its standard input is empty, its locale is C. Used by one thread.
class RunningTool {
 public:
  // With `to`, what it says on its standard output goes there, and is not in ToolRun.
  static Result<std::unique_ptr<RunningTool>> start(const std::string& path, std::vector<std::string> arguments,
                                                    const File& file, const File* to = nullptr);
  // Several files: under kToolFileNumber and the numbers after it.
  static Result<std::unique_ptr<RunningTool>> start(const std::string& path, std::vector<std::string> arguments,
                                                    std::span<const File* const> files, const File* to = nullptr);
  // Kills it if it still runs.
  ~RunningTool();
  RunningTool(const RunningTool&) = delete;
  RunningTool& operator=(const RunningTool&) = delete;

  pid_t pid() const { return child_; }
  void signal(int number) const;
  // How it ended, once; nothing as long as it runs.
  Result<std::optional<ToolRun>> ended();

 private:
  RunningTool(pid_t child, File output) : child_(child), output_(std::move(output)) {}

  pid_t child_;  // -1: it has ended
  File output_;
};

// Waits for the program's end. `go_on` is called about ten times a second from the calling thread; false ends the program
// and the call with `interrupted`.
Result<ToolRun> run_tool(const std::string& path, std::vector<std::string> arguments, const File& file,
                         const std::function<bool()>& go_on = {}, const File* to = nullptr);

}  // namespace stampede::volume

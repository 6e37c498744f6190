#include "src/volume/run_tool.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <thread>

#include "src/base/bytes.h"
#include "src/base/text.h"

namespace stampede::volume {

namespace {

constexpr std::array<std::string_view, 4> kFolders{"/usr/sbin", "/sbin", "/usr/bin", "/bin"};
constexpr Size kMostOutput = 64_KiB;
constexpr std::chrono::milliseconds kTick{100}, kFirstTick{2};
// Above all that a tool is handed.
constexpr int kFirstCopy = 32;
// Where SIGCHLD is ignored the kernel keeps no status: what is not known to have gone well has failed.
constexpr int kUnknown = 255 << 8;

// Copies whose numbers are none of those under which the tool gets them, so that one does not take another's place.
Result<std::vector<File>> copies_of(std::span<const File* const> files) {
  std::vector<File> copies;
  for (const File* file : files) {
    copies.emplace_back(::fcntl(file->fd(), F_DUPFD_CLOEXEC, kFirstCopy), file->name());
    if (!copies.back()) return fail(Code::internal, "cannot hand over {}: {}", file->name(), errno_text(errno));
  }
  return copies;
}

Result<pid_t> spawn(const std::string& path, std::vector<std::string>& arguments, std::span<const File* const> files,
                    const File& output, const File& errors) {
  STAMPEDE_TRY(const auto copies, copies_of(files));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output.fd(), 1);
  posix_spawn_file_actions_adddup2(&actions, errors.fd(), 2);
  int number = kToolFileNumber;
  for (const File& copy : copies) posix_spawn_file_actions_adddup2(&actions, copy.fd(), number++);
  // Sockets that are open without O_CLOEXEC would live as long as the tool, even if this process is killed.
  posix_spawn_file_actions_addclosefrom_np(&actions, number);
  // A terminal's interrupt is for this process to heed.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  std::vector<char*> words;
  for (std::string& word : arguments) words.push_back(word.data());
  words.push_back(nullptr);
  std::string locale = "LC_ALL=C", folders = "PATH=/usr/sbin:/sbin:/usr/bin:/bin";
  std::array<char*, 3> environment{locale.data(), folders.data(), nullptr};
  pid_t child = -1;
  const int error = ::posix_spawn(&child, path.c_str(), &actions, &attributes, words.data(), environment.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return fail(Code::internal, "cannot start {}: {}", path, errno_text(error));
  return child;
}

}  // namespace

Result<std::string> find_tool(std::string_view name, std::string_view package) {
  for (const std::string_view folder : kFolders)
    if (std::string path = fmt::format("{}/{}", folder, name); ::access(path.c_str(), X_OK) == 0) return path;
  return fail(Code::cannot_customise, "there is no {} on this machine: install {}", name, package);
}

std::string ToolRun::last_line() const {
  const std::string_view said = std::string_view(output).substr(0, output.find_last_not_of('\n') + 1);
  if (said.empty()) return fmt::format("status {}", status);
  return printable(said.substr(said.rfind('\n') + 1));
}

Result<std::unique_ptr<RunningTool>> RunningTool::start(const std::string& path, std::vector<std::string> arguments,
                                                        const File& file, const File* to) {
  return start(path, std::move(arguments), std::array<const File*, 1>{&file}, to);
}

Result<std::unique_ptr<RunningTool>> RunningTool::start(const std::string& path, std::vector<std::string> arguments,
                                                        std::span<const File* const> files, const File* to) {
  const int memory = ::memfd_create("stampede-tool", MFD_CLOEXEC);
  if (memory < 0) return fail(Code::internal, "cannot make a file in memory: {}", errno_text(errno));
  File output(memory, "a tool's output");
  arguments.insert(arguments.begin(), path);
  STAMPEDE_TRY(const pid_t child, spawn(path, arguments, files, to != nullptr ? *to : output, output));
  return std::unique_ptr<RunningTool>(new RunningTool(child, std::move(output)));
}

RunningTool::~RunningTool() {
  signal(SIGKILL);
  while (child_ > 0 && ::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void RunningTool::signal(int number) const {
  if (child_ > 0) ::kill(child_, number);
}

Result<std::optional<ToolRun>> RunningTool::ended() {
  if (child_ < 0) return fail(Code::internal, "a program that has ended is asked again");
  int status = 0;
  const pid_t got = ::waitpid(child_, &status, WNOHANG);
  if (got == 0 || (got < 0 && errno == EINTR)) return std::nullopt;
  if (got < 0) status = kUnknown;
  child_ = -1;
  Bytes said(kMostOutput.bytes);
  STAMPEDE_TRY(const std::size_t length, output_.read_some_at({}, said));
  return ToolRun{WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status),
                 std::string(as_text(ByteView(said).first(length)))};
}

Result<ToolRun> run_tool(const std::string& path, std::vector<std::string> arguments, const File& file,
                         const std::function<bool()>& go_on, const File* to) {
  STAMPEDE_TRY(const auto tool, RunningTool::start(path, std::move(arguments), file, to));
  for (auto tick = kFirstTick;; tick = std::min(tick * 2, kTick)) {
    STAMPEDE_TRY(auto run, tool->ended());
    if (run) return *std::move(run);
    if (go_on && !go_on()) return fail(Code::interrupted, "{} was interrupted", path);
    std::this_thread::sleep_for(tick);
  }
}

}  // namespace stampede::volume

// Where a server listens until all who should be are connected.
#pragma once

#include <filesystem>
#include <memory>

#include "src/nbd/connection.h"
#include "src/volume/run_tool.h"

namespace stampede::nbd {

// A folder of our own (mode 0700) with a folder in it for the server's socket; both go with this.
class SocketFolder {
 public:
  static Result<SocketFolder> make();
  SocketFolder(SocketFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ~SocketFolder();
  std::filesystem::path inner() const { return path_ / "s"; }
  std::filesystem::path socket() const { return inner() / "nbd"; }

 private:
  explicit SocketFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

// Waits until the program listens there. Errors: usage, with its last words where it ends instead; unreachable.
Result<std::unique_ptr<Connection>> connect_to(volume::RunningTool& program, const std::filesystem::path& socket,
                                               bool tells_zeros = false);

}  // namespace stampede::nbd

// The program that serves a file of ours to be written: qemu-nbd, which knows the formats of image files.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "src/base/file.h"
#include "src/nbd/connection.h"
#include "src/volume/run_tool.h"

namespace stampede::nbd {

// qemu-nbd over an open image file. The kernel ends it should the thread that started it end first, so that nothing is left
// of a process that is killed. Used by one thread.
class Server {
 public:
  static constexpr std::size_t kConnections = 3;

  // `direct`: it goes past the page cache. Errors: usage where there is no qemu-nbd, or it cannot serve the file.
  static Result<std::unique_ptr<Server>> serve(const File& image, std::string_view format, bool direct);

  // One of kConnections.
  std::unique_ptr<Connection> connection();
  // Ends it, all connections and its use of the file; without it the destructor kills it. Error: write_failed where it does
  // not end well.
  Result<> stop();

 private:
  explicit Server(std::unique_ptr<volume::RunningTool> program) : program_(std::move(program)) {}

  std::unique_ptr<volume::RunningTool> program_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace stampede::nbd

// Disks behind the NBD protocol, by libnbd (whose home this room is), and the program that serves one: qemu-nbd, which knows
// the formats of image files.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/file.h"
#include "src/volume/run_tool.h"

struct nbd_handle;

namespace stampede::disk {

// One connection, for one user at a time: an engine (engine.h), or these calls, which block.
class NbdConnection {
 public:
  explicit NbdConnection(nbd_handle* handle) : handle_(handle) {}

  // As pread(2), pwrite(2) and fdatasync(2): all of it, or -1 and errno, which is ENOTCONN once the server has gone. A flush
  // holds for what other connections have written.
  ssize_t read(std::uint64_t at, MutableBytes out);
  ssize_t write(std::uint64_t at, ByteView bytes);
  int flush();

  nbd_handle* handle() const { return handle_.get(); }

 private:
  int outcome(int result) const;

  struct Close {
    void operator()(nbd_handle* handle) const;
  };
  std::unique_ptr<nbd_handle, Close> handle_;
};

// The errno of the call of libnbd that has just failed on that connection.
int nbd_error(nbd_handle* handle);

// qemu-nbd over an open image file. The kernel ends it should the thread that started it end first, so that nothing is left
// of a process that is killed. Used by one thread.
class NbdServer {
 public:
  static constexpr std::size_t kConnections = 3;

  // `direct`: it goes past the page cache. Errors: usage where there is no qemu-nbd, or it cannot serve the file.
  static Result<std::unique_ptr<NbdServer>> serve(const File& image, std::string_view format, bool direct);

  // One of kConnections.
  std::unique_ptr<NbdConnection> connection();
  // Ends it, all connections and its use of the file; without it the destructor kills it. Error: write_failed where it does
  // not end well.
  Result<> stop();

 private:
  explicit NbdServer(std::unique_ptr<volume::RunningTool> program) : program_(std::move(program)) {}

  std::unique_ptr<volume::RunningTool> program_;
  std::vector<std::unique_ptr<NbdConnection>> connections_;
};

}  // namespace stampede::disk

// Disks behind the NBD protocol. libnbd's home.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/units.h"

struct nbd_handle;

namespace stampede::nbd {

// One connection, for one user at a time; one thread.
class Connection {
 public:
  // To a server that listens there. `tells_zeros`: it is asked to say where its disk is zero (status()). Errors:
  // unreachable; usage, where libnbd is missing.
  static Result<std::unique_ptr<Connection>> open(const std::filesystem::path& socket, bool tells_zeros = false);

  Size size() const;

  // As pread(2), pwrite(2) and fdatasync(2): all of it, or -1 and errno, which is ENOTCONN once the server has gone. A flush
  // holds for what other connections have written.
  ssize_t read(std::uint64_t at, MutableBytes out);
  ssize_t write(std::uint64_t at, ByteView bytes);
  int flush();

  // From `at` on, no more than `length` of the disk and at least one byte: what is zero, and what has to be read.
  struct Extent {
    Size length;
    bool zero = false;
  };
  // Errors: read_failed; protocol, where the server does not know or says nonsense.
  Result<std::vector<Extent>> status(Offset at, Size length);

  // Without waiting: `done` gets 0 or an errno, from within this or another call of this connection, once. The bytes are
  // the connection's until then.
  using Done = std::move_only_function<void(int error)>;
  void start_read(std::uint64_t at, MutableBytes out, Done done);
  void start_write(std::uint64_t at, ByteView bytes, Done done);
  // What to poll(2) for; an fd of -1 where the connection is over. Then what was found ready.
  struct Waits {
    int fd = -1;
    short events = 0;
  };
  Waits waits() const;
  void go_on(short ready);

 private:
  explicit Connection(nbd_handle* handle) : handle_(handle) {}
  int outcome(int result) const;
  template <class Start>
  void start(Done done, Start&& begin);

  struct Close {
    void operator()(nbd_handle* handle) const;
  };
  std::unique_ptr<nbd_handle, Close> handle_;
};

}  // namespace stampede::nbd

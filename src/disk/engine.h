// How transfers reach the kernel: through io_uring, or where that is not to be had (old kernels, containers whose seccomp
// profile forbids it, sysctl kernel.io_uring_disabled) by preadv2(2) and pwritev2(2) on some threads. An image file's
// content (image_file.h) is reached by NBD.
//
// One thread owns an engine: it makes it, starts requests, waits, and lets it go. wake() may be called from any thread.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/error.h"

namespace stampede::nbd {
class Connection;
}

namespace stampede::disk {

enum class EngineKind : std::uint8_t {
  automatic,  // io_uring where the kernel gives it
  uring,      // or an error
  calls,
};

struct Request {
  bool write = false;
  std::uint64_t at = 0;  // a byte of the disk
  MutableBytes bytes;
  int buffer = -1;  // index of the registered buffer that `bytes` lie in
  void* tag = nullptr;
};

struct Completion {
  void* tag = nullptr;
  int result = 0;  // bytes moved, or a negative errno
};

struct EngineOptions {
  int fd = -1;       // open as long as the engine lives
  std::string path;  // for messages
  std::uint32_t depth = 32;
  EngineKind kind = EngineKind::automatic;
  nbd::Connection* nbd = nullptr;  // instead of `fd`, whatever `kind` is; the engine's alone
};

class Engine {
 public:
  virtual ~Engine() = default;
  virtual std::string_view name() const = 0;
  // Memory that requests will point into, and do without it where it cannot be made known.
  virtual void register_buffers(std::span<const MutableBytes> /*buffers*/) {}
  // At most `depth` at once; the bytes are the kernel's until the completion.
  virtual void start(const Request& request) = 0;
  // Hands over what was started, and appends what has completed. With `block`, waits until something has, or for wake().
  virtual void wait(bool block, std::vector<Completion>& out) = 0;
  // Ends a wait() that is under way, or the next one.
  virtual void wake() = 0;
};

// `automatic` heeds the environment, STAMPEDE_DISK_IO=uring or calls. Errors: usage, for another value of it; write_failed,
// where io_uring is demanded and not to be had.
Result<std::unique_ptr<Engine>> open_engine(const EngineOptions& options);

// The three, for open_engine().
Result<std::unique_ptr<Engine>> open_uring_engine(const EngineOptions& options);
std::unique_ptr<Engine> open_call_engine(const EngineOptions& options);
Result<std::unique_ptr<Engine>> open_nbd_engine(const EngineOptions& options);

}  // namespace stampede::disk

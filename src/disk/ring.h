// Reads and writes through io_uring, on a thread of its own. liburing's only home.
//
// Transfers are queued from any thread; the ring thread keeps at most `depth` of them with the kernel, goes on with short
// ones, and calls each one's `done` once, on the ring thread. A failed write sets the latch, after which writes still in the
// queue fail with its error and are not tried.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/file.h"
#include "src/disk/error_latch.h"

struct io_uring;

namespace stampede::disk {

struct Transfer {
  bool write = false;
  std::uint64_t at = 0;    // a byte of the disk; aligned for O_DIRECT, as `bytes` are
  MutableBytes bytes;      // kept alive by the caller until `done`
  std::size_t needed = 0;  // a read is complete with this many bytes: the end of a file may come early
  int buffer = -1;         // index of the registered buffer that `bytes` lie in
  std::function<void(Result<>)> done;
};

struct RingOptions {
  int fd = -1;       // open as long as the ring lives
  std::string path;  // for messages
  std::uint32_t depth = 32;
  std::vector<MutableBytes> buffers;  // to be registered
};

class Ring {
 public:
  // Starts the thread. Error: write_failed where the kernel gives no io_uring.
  static Result<std::unique_ptr<Ring>> open(RingOptions options, ErrorLatch& latch);
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // Ends the thread. Transfers still in the queue end with `interrupted`; those with the kernel are waited for.
  void stop();

  void submit(std::vector<Transfer> transfers);
  // Runs it on the ring thread, after what was posted before.
  void post(std::function<void()> work);

 private:
  struct Flight;  // a transfer that the kernel has

  Ring(RingOptions options, ErrorLatch& latch);
  void run(std::function<void(Result<>)> started);
  Result<> set_up();
  void loop();
  void take_queue();
  void fill_ring();
  void prepare(Flight* flight);
  void arm_wake_up();
  void reap();
  void landed(Flight* flight, int result);
  void finish(Flight* flight, Result<> result);
  // With the lock held: has the ring thread to be woken for what was queued? It looks itself before it waits.
  bool must_wake();
  void wake();

  const RingOptions options_;
  ErrorLatch& latch_;
  File event_;  // eventfd
  std::uint64_t event_value_ = 0;
  std::unique_ptr<io_uring> ring_;
  bool fixed_buffers_ = false;
  std::uint32_t in_flight_ = 0;
  std::deque<Transfer> waiting_;  // ring thread only
  std::deque<Flight*> again_;     // short ones, ring thread only
  std::thread::id self_;          // the ring thread; set before open() returns

  std::mutex mutex_;
  std::vector<Transfer> queue_;
  std::vector<std::function<void()>> posted_;
  bool woken_ = false;
  bool stop_ = false;

  std::thread thread_;
};

}  // namespace stampede::disk

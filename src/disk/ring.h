// Reads and writes through an engine (io_uring, or system calls), on a thread of its own.
//
// Transfers are queued from any thread; the ring thread keeps at most `depth` of them with the kernel, goes on with short
// and interrupted ones, and calls each one's `done` once, on the ring thread. A failed write sets the latch, after which
// writes still in the queue fail with its error and are not tried.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "src/base/bytes.h"
#include "src/disk/engine.h"
#include "src/disk/error_latch.h"
#include "src/disk/faults.h"

namespace stampede::disk {

struct Transfer {
  bool write = false;
  std::uint64_t at = 0;    // a byte of the disk; aligned for O_DIRECT, as `bytes` are
  MutableBytes bytes;      // kept alive by the caller until `done`
  std::size_t needed = 0;  // a read is complete with this many bytes: the end of a file may come early
  int buffer = -1;         // index of the registered buffer that `bytes` lie in
  std::move_only_function<void(Result<>)> done;
};

class Ring {
 public:
  // Starts the thread, which makes the engine and registers the buffers. Error: that of open_engine().
  static Result<std::unique_ptr<Ring>> open(EngineOptions options, std::vector<MutableBytes> buffers, ErrorLatch& latch,
                                            Faults faults = {});
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // Ends the thread. Transfers still in the queue end with `interrupted`; those with the kernel are waited for.
  void stop();

  std::string_view engine() const { return name_; }
  void submit(std::vector<Transfer> transfers);
  // Runs it on the ring thread, after what was posted before.
  void post(std::function<void()> work);

 private:
  struct Flight;  // a transfer that the kernel has

  Ring(EngineOptions options, std::vector<MutableBytes> buffers, ErrorLatch& latch, Faults faults);
  void run(std::function<void(Result<>)> started);
  void loop();
  void take_queue();
  void fill_engine();
  Flight* next_flight();
  void start(Flight* flight);
  void landed(Flight* flight, int result);
  void finish(Flight* flight, Result<> result);
  // With the lock held: has the ring thread to be woken for what was queued? It looks itself before it waits.
  bool must_wake();

  const EngineOptions options_;
  const std::vector<MutableBytes> buffers_;
  ErrorLatch& latch_;
  const Faults faults_;
  std::unique_ptr<Engine> engine_;  // the ring thread's; set before open() returns
  std::string_view name_;
  std::uint32_t in_flight_ = 0;
  std::vector<Completion> landings_;  // ring thread only, as these are
  std::deque<Transfer> waiting_;
  std::deque<Flight*> again_;  // short or interrupted ones
  std::thread::id self_;       // the ring thread; set before open() returns

  std::mutex mutex_;
  std::vector<Transfer> queue_;
  std::vector<std::function<void()>> posted_;
  bool woken_ = false;
  bool stop_ = false;

  std::thread thread_;
};

}  // namespace stampede::disk

// Makes ranges of the disk read as zeros, or lets go of what they hold, on a thread of its own, since the calls that do so
// block.
//
// Zeros come by the cheapest way that works on this disk, found out at the first range: something else is written to its
// start, made zero, and read back. First a hole is punched, which lets a thin volume, an SSD or a file give the space back;
// then BLKZEROOUT (files: FALLOC_FL_ZERO_RANGE), which keeps it; what neither does is written. A file that this run made is
// zeros already, since holes read as such.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "src/base/aligned.h"
#include "src/disk/commit_region.h"
#include "src/disk/error_latch.h"
#include "src/disk/raw_disk.h"

namespace stampede::disk {

class Zeroer {
 public:
  enum class Work : std::uint8_t { zero, discard };
  enum class Method : std::uint8_t { nothing, punch, zero_out, write };

  Zeroer(RawDisk& disk, ErrorLatch& latch);
  // What is still queued ends with `interrupted`.
  ~Zeroer();

  // `done` is called once, on the zeroer's thread. The thread starts with the first call.
  void submit(Work work, Range range, std::function<void(Result<>)> done);

  // False once the disk has refused to discard, which is no error: it keeps what it holds.
  bool discards() const { return discards_; }

 private:
  struct Job {
    Work work = Work::zero;
    Range range;
    std::function<void(Result<>)> done;
  };
  void run();
  bool stopping();
  Result<> carry_out(const Job& job);
  Result<> zero(Range piece);
  Result<> zero_blocks(Range blocks);
  Result<> discard(Range piece);
  Result<Method> find_method(Range blocks);
  // Did the disk take it? Not that it read as zeros.
  Result<bool> apply(Method method, Range blocks);
  // 0, or an errno.
  int call(Method method, Range blocks) const;
  int call_discard(Range blocks) const;
  // The call, as often as it is interrupted. False: the disk cannot.
  Result<bool> taken(Operation::Kind kind, Range blocks, const std::function<int()>& call);
  Result<> write_zeros(Range range);

  RawDisk& disk_;
  ErrorLatch& latch_;
  AlignedMemory zeros_;
  std::optional<Method> method_;  // its thread's
  std::atomic<bool> discards_ = true;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace stampede::disk

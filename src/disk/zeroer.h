// Makes ranges of the disk read as zeros, on a thread of its own, since the calls that do so block. Block devices: a hole
// is punched, for which the kernel promises zeros too, and which lets a thin volume or a loop device's file give the space
// back; where the device cannot, BLKZEROOUT (which keeps the space). Files: nothing to do where this run made them, since
// holes read as zeros; else a hole is punched. Where none of that is to be had, zeros are written.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "src/disk/aligned.h"
#include "src/disk/commit_region.h"
#include "src/disk/error_latch.h"
#include "src/disk/raw_disk.h"

namespace stampede::disk {

class Zeroer {
 public:
  Zeroer(RawDisk& disk, ErrorLatch& latch);
  // What is still queued ends with `interrupted`.
  ~Zeroer();

  // `done` is called once, on the zeroer's thread. The thread starts with the first call.
  void submit(Range range, std::function<void(Result<>)> done);

 private:
  struct Job {
    Range range;
    std::function<void(Result<>)> done;
  };
  void run();
  bool stopping();
  Result<> zero(Range range);
  Result<> zero_device(Range range);
  Result<> zero_sectors(Range range);
  Result<> zero_file(Range range);
  // Did the kernel take it? Else errno says why not.
  bool punch(Range range);
  Result<> write_zeros(Range range);

  RawDisk& disk_;
  ErrorLatch& latch_;
  AlignedMemory zeros_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace stampede::disk

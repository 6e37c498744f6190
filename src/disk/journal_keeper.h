// Writes the journal while a disk is being written, on a thread of its own, so that no write waits for a flush: asks which
// spans are in their places, flushes the device, and then names them in the slot whose turn it is. That record is durable
// with the next flush; until then the other slot stands. A record comes when enough is new to be worth a flush, or some time
// has passed: what a second run fetches again although it is there is bounded by both. While a network is waited for, a
// flush costs nothing, and the last one has less to do; by_time() is for when the disk is: then time alone bounds it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "src/base/seams.h"
#include "src/disk/error_latch.h"
#include "src/disk/journal.h"
#include "src/disk/raw_disk.h"

namespace stampede::disk {

class JournalKeeper {
 public:
  // Spans all of whose writes have ended; from the keeper's thread.
  using Placed = std::function<Bitmap()>;

  static constexpr std::uint32_t kEnough = 128;  // spans, of about 1 MiB

  // `disk` and `latch` outlive it; `every` is the longest time between two records while something is placed.
  JournalKeeper(RawDisk& disk, ErrorLatch& latch, const chunker::ImageId& image, Placed placed, Duration every);
  ~JournalKeeper() { stop(); }

  // The first record: what is durable already. It is not flushed. Then the thread starts. Errors: write_failed.
  Result<> start(Bitmap durable);
  // Target::keep_journal_by_time(). Any thread.
  void by_time(bool only) {
    by_time_ = only;
    recount_ = true;
  }
  // Ends the thread; a flush that is under way is waited for.
  void stop();
  // After stop() and a flush: what is placed is durable. Errors: write_failed.
  Result<> write_last();

  // The newest sound record for that image on that disk: nothing where there is none.
  static std::optional<JournalRecord> read(RawDisk& disk, const chunker::ImageId& image, std::uint32_t spans);
  // Has the disk a place for it?
  static bool fits(Size disk, std::uint32_t spans);

 private:
  void run();
  bool wait();
  Result<> checkpoint(Bitmap placed);
  Result<> write(Bitmap durable);

  RawDisk& disk_;
  ErrorLatch& latch_;
  const Placed placed_;
  const Duration every_;
  JournalRecord record_;  // as written last
  std::atomic<bool> by_time_ = false;
  std::atomic<bool> recount_ = false;  // what is placed by now is not new
  std::mutex mutex_;
  std::condition_variable stopping_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace stampede::disk

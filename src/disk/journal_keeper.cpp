#include "src/disk/journal_keeper.h"

#include <algorithm>

#include "src/disk/target.h"

namespace stampede::disk {

namespace {
constexpr Duration kTick = std::chrono::milliseconds(50);
}

JournalKeeper::JournalKeeper(RawDisk& disk, ErrorLatch& latch, const chunker::ImageId& image, Placed placed, Duration every)
    : disk_(disk), latch_(latch), placed_(std::move(placed)), every_(every), record_{0, image, disk.size(), {}} {}

bool JournalKeeper::fits(Size disk, std::uint32_t spans) { return disk >= kCommitHead && spans <= kJournalSpans; }

std::optional<JournalRecord> JournalKeeper::read(RawDisk& disk, const chunker::ImageId& image, std::uint32_t spans) {
  std::optional<JournalRecord> newest;
  if (!fits(disk.size(), spans)) return newest;
  Bytes slot(kJournalHead.bytes + (std::size_t{spans} + 7) / 8);
  for (const Offset at : kJournalSlots) {
    if (!disk.read(at, slot)) continue;  // the other one may be whole, and a second run can do without either
    auto record = decode_journal(slot);
    if (!record || record->image != image || record->disk_size != disk.size() || record->durable.size() != spans) continue;
    if (!newest || newest->sequence < record->sequence) newest = std::move(record);
  }
  return newest;
}

Result<> JournalKeeper::start(Bitmap durable) {
  STAMPEDE_CHECK(write(std::move(durable)));
  thread_ = std::thread([this] { run(); });
  return {};
}

void JournalKeeper::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  stopping_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Result<> JournalKeeper::write_last() { return write(placed_()); }

void JournalKeeper::run() {
  Instant written = system_clock().now();
  std::uint32_t counted = record_.durable.count();  // what comes on top of it is new
  while (wait()) {
    const bool recount = recount_.exchange(false) || by_time_;
    Bitmap placed = placed_();
    if (recount) counted = placed.count();
    const bool enough = placed.count() - counted >= kEnough;
    if (placed.count() == record_.durable.count() || (!enough && system_clock().now() - written < every_)) continue;
    if (const auto done = checkpoint(std::move(placed)); !done) return latch_.set(done.error());
    written = system_clock().now();
    counted = record_.durable.count();
  }
}

// False: it is to stop.
bool JournalKeeper::wait() {
  std::unique_lock lock(mutex_);
  return !stopping_.wait_for(lock, std::min(every_, kTick), [this] { return stop_; });
}

// What was asked for before the flush is durable after it, unless a write has failed: not everybody who says that a span is
// placed knows of it.
Result<> JournalKeeper::checkpoint(Bitmap placed) {
  STAMPEDE_CHECK(disk_.flush());
  STAMPEDE_CHECK(latch_.check());
  return write(std::move(placed));
}

Result<> JournalKeeper::write(Bitmap durable) {
  ++record_.sequence;
  record_.durable = std::move(durable);
  return disk_.write(kJournalSlots[record_.sequence % 2], encode_journal(record_));
}

}  // namespace stampede::disk

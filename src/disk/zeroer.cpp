#include "src/disk/zeroer.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace stampede::disk {

namespace {
// One ioctl is not interruptible: pieces of this size keep a stop from waiting for a whole slow disk.
constexpr std::uint64_t kPiece = 1_GiB .bytes;
constexpr std::size_t kZeros = 256UL * 1024;
}  // namespace

Zeroer::Zeroer(RawDisk& disk, ErrorLatch& latch) : disk_(disk), latch_(latch) {}

Zeroer::~Zeroer() {
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Zeroer::submit(Range range, std::function<void(Result<>)> done) {
  {
    const std::scoped_lock lock(mutex_);
    jobs_.push_back({range, std::move(done)});
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  }
  changed_.notify_one();
}

void Zeroer::run() {
  while (true) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    Result<> result = latch_.check();
    if (result) result = zero(job.range);
    if (!result && result.error().code != Code::interrupted) latch_.set(result.error());
    job.done(std::move(result));
  }
}

bool Zeroer::stopping() {
  const std::scoped_lock lock(mutex_);
  return stop_;
}

Result<> Zeroer::zero(Range range) {
  while (range.length.bytes > 0) {
    if (stopping()) return fail(Code::interrupted, "zeroing {} was interrupted", disk_.path());
    const Size size{std::min(range.length.bytes, kPiece)};
    const Range piece{range.at, size};
    STAMPEDE_CHECK(disk_.guarded().is_file ? zero_file(piece) : zero_device(piece));
    range = {range.at + size, range.length - size};
  }
  return {};
}

Result<> Zeroer::zero_device(Range range) {
  const std::uint64_t sector = disk_.guarded().identity.sector_size;
  const std::uint64_t from = round_up(range.at.bytes, sector);
  const std::uint64_t to = round_down(range.end().bytes, sector);
  if (from >= to) return write_zeros(range);
  STAMPEDE_CHECK(zero_sectors({{from}, {to - from}}));
  STAMPEDE_CHECK(write_zeros({range.at, {from - range.at.bytes}}));
  return write_zeros({{to}, {range.end().bytes - to}});
}

Result<> Zeroer::zero_sectors(Range range) {
  const auto failed = [&] {
    return errno != EOPNOTSUPP && errno != ENOSYS && errno != ENODEV && errno != ENOTTY && errno != EINVAL;
  };
  std::array<std::uint64_t, 2> argument{range.at.bytes, range.length.bytes};
  if (punch(range) || (!failed() && ::ioctl(disk_.fd(), BLKZEROOUT, argument.data()) == 0)) return {};
  if (failed()) return std::unexpected(io_error(Code::write_failed, disk_.path(), range.at.bytes, errno));
  return write_zeros(range);
}

bool Zeroer::punch(Range range) {
  int result = 0;
  do {
    result = ::fallocate(disk_.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(range.at.bytes),
                         static_cast<off_t>(range.length.bytes));
  } while (result != 0 && errno == EINTR);
  return result == 0;
}

Result<> Zeroer::zero_file(Range range) {
  if (disk_.guarded().created) return {};
  if (punch(range)) return {};
  if (errno == EOPNOTSUPP || errno == ENOSYS) return write_zeros(range);
  return std::unexpected(io_error(Code::write_failed, disk_.path(), range.at.bytes, errno));
}

Result<> Zeroer::write_zeros(Range range) {
  if (range.length.bytes > 0 && zeros_.bytes().empty()) zeros_ = AlignedMemory(kZeros);
  while (range.length.bytes > 0) {
    if (stopping()) return fail(Code::interrupted, "zeroing {} was interrupted", disk_.path());
    const Size size{std::min<std::uint64_t>(range.length.bytes, kZeros)};
    STAMPEDE_CHECK(disk_.write(range.at, zeros_.bytes().first(size.bytes)));
    range = {range.at + size, range.length - size};
  }
  return {};
}

}  // namespace stampede::disk

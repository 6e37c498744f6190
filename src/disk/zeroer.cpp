#include "src/disk/zeroer.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace stampede::disk {

namespace {

// One call is not interruptible: pieces of this size keep a stop from waiting for a whole slow disk.
constexpr std::uint64_t kPiece = 1_GiB .bytes;
constexpr std::size_t kZeros = 256UL * 1024;
constexpr std::uint64_t kProbe = 64UL * 1024;

bool cannot(int error) {
  return error == EOPNOTSUPP || error == ENOSYS || error == ENODEV || error == ENOTTY || error == EINVAL;
}

// The whole blocks of a range.
Range inner(Range range, std::uint64_t block) {
  const std::uint64_t from = round_up(range.at.bytes, block);
  const std::uint64_t to = round_down(range.end().bytes, block);
  return from < to ? Range{{from}, {to - from}} : Range{range.at, {}};
}

}  // namespace

Zeroer::Zeroer(RawDisk& disk, ErrorLatch& latch) : disk_(disk), latch_(latch) {
  if (disk.guarded().created) method_ = Method::nothing;
}

Zeroer::~Zeroer() {
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Zeroer::submit(Work work, Range range, std::function<void(Result<>)> done) {
  {
    const std::scoped_lock lock(mutex_);
    jobs_.push_back({work, range, std::move(done)});
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
    if (result) result = carry_out(job);
    if (!result && result.error().code != Code::interrupted) latch_.set(result.error());
    job.done(std::move(result));
  }
}

bool Zeroer::stopping() {
  const std::scoped_lock lock(mutex_);
  return stop_;
}

Result<> Zeroer::carry_out(const Job& job) {
  Range rest = job.range;
  while (rest.length.bytes > 0) {
    if (stopping()) return fail(Code::interrupted, "zeroing {} was interrupted", disk_.path());
    const Size size{std::min(rest.length.bytes, kPiece)};
    const Range piece{rest.at, size};
    STAMPEDE_CHECK(job.work == Work::zero ? zero(piece) : discard(piece));
    rest = {rest.at + size, rest.length - size};
  }
  return {};
}

Result<> Zeroer::zero(Range piece) {
  const Range blocks = inner(piece, disk_.guarded().alignment);
  if (blocks.length.bytes == 0) return write_zeros(piece);
  STAMPEDE_CHECK(zero_blocks(blocks));
  STAMPEDE_CHECK(write_zeros({piece.at, blocks.at - piece.at}));
  return write_zeros({blocks.end(), piece.end() - blocks.end()});
}

Result<> Zeroer::zero_blocks(Range blocks) {
  if (!method_) {
    STAMPEDE_TRY(method_, find_method(blocks));
  }
  STAMPEDE_TRY(const bool done, apply(*method_, blocks));
  return done ? Result<>{} : write_zeros(blocks);
}

Result<Zeroer::Method> Zeroer::find_method(Range blocks) {
  const Range probe{blocks.at, {std::min(blocks.length.bytes, kProbe)}};
  // Zeros from before would pass for the method's work.
  const Bytes other(probe.length.bytes, std::byte{0xdb});
  Bytes back(probe.length.bytes);
  for (const Method method : {Method::punch, Method::zero_out}) {
    STAMPEDE_CHECK(disk_.write(probe.at, other));
    STAMPEDE_TRY(const bool done, apply(method, probe));
    if (!done) continue;
    disk_.drop_cache();
    STAMPEDE_CHECK(disk_.read(probe.at, back));
    if (all_zero(back)) return method;
  }
  return Method::write;
}

Result<bool> Zeroer::apply(Method method, Range blocks) {
  if (method == Method::nothing) return true;
  if (method == Method::write) return false;
  return taken(Operation::Kind::zero, blocks, [&] { return call(method, blocks); });
}

int Zeroer::call(Method method, Range blocks) const {
  const bool punch = method == Method::punch;
  if (!punch && !disk_.guarded().is_file) {
    std::array<std::uint64_t, 2> argument{blocks.at.bytes, blocks.length.bytes};
    return ::ioctl(disk_.fd(), BLKZEROOUT, argument.data()) == 0 ? 0 : errno;
  }
  const int mode = FALLOC_FL_KEEP_SIZE | (punch ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
  const auto at = static_cast<off_t>(blocks.at.bytes);
  const auto length = static_cast<off_t>(blocks.length.bytes);
  return ::fallocate(disk_.fd(), mode, at, length) == 0 ? 0 : errno;
}

Result<> Zeroer::discard(Range piece) {
  if (!discards_ || disk_.guarded().created) return {};
  const Range blocks = inner(piece, disk_.guarded().alignment);
  if (blocks.length.bytes == 0) return {};
  STAMPEDE_TRY(const bool done, taken(Operation::Kind::discard, blocks, [&] { return call_discard(blocks); }));
  if (!done) discards_ = false;
  return {};
}

int Zeroer::call_discard(Range blocks) const {
  if (disk_.guarded().is_file) return call(Method::punch, blocks);
  std::array<std::uint64_t, 2> argument{blocks.at.bytes, blocks.length.bytes};
  return ::ioctl(disk_.fd(), BLKDISCARD, argument.data()) == 0 ? 0 : errno;
}

Result<bool> Zeroer::taken(Operation::Kind kind, Range blocks, const std::function<int()>& call) {
  int error = 0;
  do {
    error = disk_.fault({kind, blocks.at.bytes, blocks.length.bytes}).error;
    if (error == 0) error = call();
  } while (error == EINTR);
  if (error == 0) return true;
  if (cannot(error)) return false;
  return std::unexpected(io_error(Code::write_failed, disk_.path(), blocks.at.bytes, error));
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

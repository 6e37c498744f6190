#include "src/formats/spool.h"

#include <algorithm>

namespace stampede::formats {

namespace {

constexpr Size kMostReserve = 1_GiB;
constexpr std::uint64_t kReserveShare = 20;
// Between two questions for free space: less than any reserve that matters.
constexpr Size kAskEvery = 32_MiB;

}  // namespace

Result<Spool> Spool::make(const std::filesystem::path& folder, std::string name, const SpoolLimits& limits) {
  STAMPEDE_TRY(File file, File::unnamed(folder, std::move(name)));
  STAMPEDE_TRY(const auto space, file.space());
  const Size reserve = limits.reserve.value_or(std::min(kMostReserve, Size{space.all.bytes / kReserveShare}));
  Spool spool(std::move(file), limits, reserve);
  spool.unchecked_ = kAskEvery;
  return spool;
}

Result<> Spool::declare(Size size) {
  if (size > limits_.max_size)
    return fail(Code::usage, "{} says that it holds a disk of {}; the limit is {}: raise it with --max-size", file_.name(),
                human_size(size.bytes), human_size(limits_.max_size.bytes));
  declared_ = size;
  return check_fits({});
}

Result<> Spool::check_fits(Size length) const {
  if (declared_ && (position_ > *declared_ || length > *declared_ - position_))
    return fail(Code::usage, "{} holds more than the {} bytes that it declares", file_.name(), declared_->bytes);
  if (position_ > limits_.max_size || length > limits_.max_size - position_)
    return fail(Code::usage, "{} holds a disk of more than {}: raise the limit with --max-size", file_.name(),
                human_size(limits_.max_size.bytes));
  return {};
}

Result<> Spool::write(ByteView bytes) {
  STAMPEDE_CHECK(check_fits(Size{bytes.size()}));
  while (!bytes.empty()) {
    // Parts end at their alignment, wherever they begin.
    const std::size_t room = kPart.bytes - position_.bytes % kPart.bytes;
    const ByteView now = bytes.first(std::min(room, bytes.size()));
    bytes = bytes.subspan(now.size());
    if (part_.empty() && now.size() == room) {
      STAMPEDE_CHECK(store({position_.bytes}, now));
      position_ += Size{now.size()};
      continue;
    }
    part_.insert(part_.end(), now.begin(), now.end());
    position_ += Size{now.size()};
    if (now.size() == room) STAMPEDE_CHECK(flush());
  }
  return {};
}

Result<> Spool::skip(Size length) {
  STAMPEDE_CHECK(check_fits(length));
  STAMPEDE_CHECK(flush());
  position_ += length;
  return {};
}

Result<> Spool::flush() {
  STAMPEDE_CHECK(store({position_.bytes - part_.size()}, part_));
  part_.clear();
  return {};
}

// What is not zero, in runs of blocks.
Result<> Spool::store(Offset at, ByteView bytes) {
  std::size_t run = 0, scanned = 0;  // [run, scanned) is to be stored
  while (scanned < bytes.size()) {
    const std::size_t block =
        std::min<std::size_t>(kBlock.bytes - (at.bytes + scanned) % kBlock.bytes, bytes.size() - scanned);
    if (all_zero(bytes.subspan(scanned, block))) {
      STAMPEDE_CHECK(store_run(at + Size{run}, bytes.subspan(run, scanned - run)));
      run = scanned + block;
    }
    scanned += block;
  }
  return store_run(at + Size{run}, bytes.subspan(run));
}

Result<> Spool::store_run(Offset at, ByteView bytes) {
  if (bytes.empty()) return {};
  if (unchecked_ >= kAskEvery) {
    STAMPEDE_TRY(const auto space, file_.space());
    if (space.free < reserve_ + kAskEvery)
      return fail(Code::no_space, "there is no space to unpack {}: {} so far, and {} must stay free", file_.name(),
                  human_size(stored_.bytes), human_size(reserve_.bytes));
    unchecked_ = {};
  }
  STAMPEDE_CHECK(file_.write_at(at, bytes));
  stored_ += Size{bytes.size()};
  unchecked_ += Size{bytes.size()};
  return {};
}

Result<File> Spool::finish() && {
  STAMPEDE_CHECK(flush());
  STAMPEDE_CHECK(file_.truncate(declared_.value_or(position_)));
  return std::move(file_);
}

}  // namespace stampede::formats

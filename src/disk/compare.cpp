#include "src/disk/compare.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace stampede::disk {

namespace {
constexpr std::chrono::milliseconds kTick{100};
}  // namespace

Comparer::Comparer(const Parts& parts, const std::function<bool(Size)>& progress) : parts_(parts), progress_(progress) {
  while (buffers_.size() < kMostBuffers) {
    Slab slab = parts_.slabs.try_take();
    if (!slab) break;
    buffers_.push_back({std::move(slab), {}, {}});
  }
  while (buffers_.size() < kOwnBuffers) buffers_.push_back({{}, AlignedMemory(kSlab.bytes), {}});
  for (std::size_t i = 0; i < buffers_.size(); ++i) free_.push_back(i);
  for (unsigned i = 0; i < std::max(parts_.threads, 1U); ++i) threads_.emplace_back([this] { hash(); });
}

Comparer::~Comparer() {
  wait_for_all();
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  loading_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

Result<std::vector<bool>> Comparer::run(std::span<const Expected> expected, std::vector<chunker::Fingerprint>* learnt) {
  if (learnt != nullptr) learnt->assign(expected.size(), {});
  learnt_ = learnt;
  for (std::size_t i = 0; i < expected.size(); ++i) STAMPEDE_CHECK(add(i, expected[i]));
  send();
  wait_for_all();
  report();
  STAMPEDE_CHECK(error());
  const std::scoped_lock lock(mutex_);
  std::vector<bool> right(expected.size(), true);
  for (const std::size_t index : wrong_) right[index] = false;
  return right;
}

Result<> Comparer::add(std::size_t index, const Expected& expected) {
  const Range range{expected.at, expected.length};
  const Size disk = parts_.disk.size();
  if (range.at.bytes > disk.bytes || range.length > disk - Size{range.at.bytes})
    return fail(Code::internal, "comparing bytes {} to {} of {}, which has only {}", range.at.bytes, range.end().bytes,
                parts_.disk.path(), disk.bytes);
  if (!expected.chunk) return add_zeros(index, range);
  const std::uint64_t alignment = parts_.disk.guarded().alignment;
  if (range.length.bytes > kSlab.bytes - range.at.bytes % alignment)
    return fail(Code::internal, "comparing a chunk of {} bytes, more than a slab holds", range.length.bytes);
  if (!fits(range)) send();
  add_piece({index, range, &expected});
  return error();
}

Result<> Comparer::error() {
  const std::scoped_lock lock(mutex_);
  if (error_) return std::unexpected(*error_);
  return {};
}

Result<> Comparer::add_zeros(std::size_t index, Range range) {
  if (parts_.held == nullptr) return add_zeros_on_disk(index, range);
  for (const auto& part : parts_.held->split(range)) {
    if (!part.inside) {
      STAMPEDE_CHECK(add_zeros_on_disk(index, part.range));
      continue;
    }
    Bytes bytes(part.range.length.bytes);
    parts_.held->read(part.range.at, bytes);
    skipped_ += part.range.length;
    if (all_zero(bytes)) continue;
    const std::scoped_lock lock(mutex_);
    wrong_.push_back(index);
  }
  return {};
}

// Holes of a file need no reading.
Result<> Comparer::add_zeros_on_disk(std::size_t index, Range range) {
  while (range.length.bytes > 0) {
    Offset data = range.at;
    Offset hole = range.end();
    if (parts_.disk.guarded().is_file && !parts_.disk.guarded().image) {
      const off_t next = ::lseek(parts_.disk.fd(), static_cast<off_t>(range.at.bytes), SEEK_DATA);
      if (next >= 0)
        data = std::min(range.end(), Offset{static_cast<std::uint64_t>(next)});
      else if (errno == ENXIO)
        data = range.end();
      if (data < range.end()) {
        const off_t end = ::lseek(parts_.disk.fd(), static_cast<off_t>(data.bytes), SEEK_HOLE);
        if (end >= 0) hole = std::min(hole, Offset{static_cast<std::uint64_t>(end)});
      }
    }
    skipped_ += data - range.at;
    while (data < hole) {
      const Size size{std::min((hole - data).bytes, kSlab.bytes - data.bytes % parts_.disk.guarded().alignment)};
      if (!fits({data, size})) send();
      add_piece({index, {data, size}, nullptr});
      data += size;
      STAMPEDE_CHECK(error());
    }
    range = {data, range.end() - data};
  }
  report();
  return {};
}

bool Comparer::fits(Range range) const {
  if (next_.pieces.empty()) return true;
  const std::uint64_t end = round_up(range.end().bytes, parts_.disk.guarded().alignment);
  return range.at == next_.pieces.back().range.end() && end - next_.range.at.bytes <= kSlab.bytes;
}

void Comparer::add_piece(const Piece& piece) {
  const std::uint64_t alignment = parts_.disk.guarded().alignment;
  if (next_.pieces.empty()) next_.range.at = {round_down(piece.range.at.bytes, alignment)};
  next_.range.length = Offset{round_up(piece.range.end().bytes, alignment)} - next_.range.at;
  next_.pieces.push_back(piece);
}

void Comparer::send() {
  if (next_.pieces.empty()) return;
  const std::size_t index = wait_for_buffer();
  Buffer& buffer = buffers_[index];
  buffer.load = std::exchange(next_, {});
  const Range& range = buffer.load.range;
  Transfer transfer;
  transfer.at = range.at.bytes;
  transfer.bytes = buffer.bytes().first(range.length.bytes);
  // A file's last block may be a part of one.
  transfer.needed = std::min(range.end().bytes, parts_.disk.size().bytes) - range.at.bytes;
  transfer.buffer = buffer.slab ? static_cast<int>(buffer.slab.index()) : -1;
  transfer.done = [this, index](Result<> result) {
    const std::scoped_lock lock(mutex_);
    if (result) {
      loaded_.push_back(index);
      loading_.notify_one();
      return;
    }
    if (!error_) error_ = std::move(result).error();
    free_.push_back(index);
    freed_.notify_one();
  };
  std::vector<Transfer> transfers;
  transfers.push_back(std::move(transfer));
  parts_.ring.submit(std::move(transfers));
}

std::size_t Comparer::wait_for_buffer() {
  report();
  std::unique_lock lock(mutex_);
  while (!freed_.wait_for(lock, kTick, [this] { return !free_.empty(); })) {
    lock.unlock();
    report();
    lock.lock();
  }
  const std::size_t index = free_.back();
  free_.pop_back();
  return index;
}

void Comparer::wait_for_all() {
  std::unique_lock lock(mutex_);
  freed_.wait(lock, [this] { return free_.size() == buffers_.size(); });
}

void Comparer::report() {
  if (!progress_) return;
  Size compared;
  {
    const std::scoped_lock lock(mutex_);
    compared = compared_;
  }
  if (progress_(compared + skipped_)) return;
  const std::scoped_lock lock(mutex_);
  if (!error_) error_ = Error{Code::interrupted, fmt::format("reading {} was interrupted", parts_.disk.path())};
}

void Comparer::hash() {
  chunker::Digester digester;
  while (true) {
    std::size_t index = 0;
    {
      std::unique_lock lock(mutex_);
      loading_.wait(lock, [this] { return stop_ || !loaded_.empty(); });
      if (loaded_.empty()) return;
      index = loaded_.front();
      loaded_.pop_front();
    }
    const Buffer& buffer = buffers_[index];
    const std::vector<std::size_t> wrong = check(buffer, digester);
    const std::scoped_lock lock(mutex_);
    wrong_.insert(wrong_.end(), wrong.begin(), wrong.end());
    for (const Piece& piece : buffer.load.pieces) compared_ += piece.range.length;
    free_.push_back(index);
    freed_.notify_one();
  }
}

// The expected ranges that are not as expected.
std::vector<std::size_t> Comparer::check(const Buffer& buffer, chunker::Digester& digester) {
  const Range& range = buffer.load.range;
  const MutableBytes all = buffer.bytes().first(range.length.bytes);
  if (parts_.held != nullptr) parts_.held->read(range.at, all);
  std::vector<std::size_t> wrong;
  std::vector<const Piece*> named;
  std::vector<ByteView> plain;
  for (const Piece& piece : buffer.load.pieces) {
    const ByteView bytes = all.subspan((piece.range.at - range.at).bytes, piece.range.length.bytes);
    if (piece.expected == nullptr) {
      if (!all_zero(bytes)) wrong.push_back(piece.index);
    } else if (piece.expected->fingerprint) {
      if (chunker::fingerprint(bytes) != *piece.expected->fingerprint) wrong.push_back(piece.index);
    } else {
      named.push_back(&piece);
      plain.push_back(bytes);
    }
  }
  const auto chunks = digester.recognise(plain);
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const Piece& piece = *named[i];
    if (chunks[i].id() != *piece.expected->chunk)
      wrong.push_back(piece.index);
    else if (learnt_ != nullptr)
      (*learnt_)[piece.index] = chunker::fingerprint(plain[i]);
  }
  return wrong;
}

}  // namespace stampede::disk

#include "chunker/import_reader.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "chunker/cutter.h"

namespace stampede::chunker {
namespace {

// One read(2); small enough that what was read is still in the cache when it is compared with zeros and cut.
constexpr Size kRead = 256_KiB;

}  // namespace

Result<> ImportReader::run() {
  if (!next_batch()) return {};
  Offset at;
  while (at.bytes < size_.bytes) {
    STAMPEDE_TRY(const Stored stored, next_stored(at));
    add_zeros(stored.begin - at);
    STAMPEDE_TRY(const bool going_on, read(stored));
    if (!going_on) return {};
    at = stored.end;
  }
  cut_run({});
  batch_->end = {size_.bytes};
  line_.submit(std::move(batch_));
  STAMPEDE_TRY(const Size size, file_.size());
  if (size != size_)
    return fail(Code::read_failed, "{} changed its size from {} to {} bytes while it was read", file_.name(), size_.bytes,
                size.bytes);
  return {};
}

Result<ImportReader::Stored> ImportReader::next_stored(Offset from) const {
  const Offset all{size_.bytes};
  const off_t data = ::lseek(file_.fd(), static_cast<off_t>(from.bytes), SEEK_DATA);
  if (data < 0 && errno == ENXIO) return Stored{all, all};
  // Block devices and some file systems do not tell: then everything is read.
  if (data < 0) return Stored{from, all};
  const off_t hole = ::lseek(file_.fd(), data, SEEK_HOLE);
  if (hole < 0) return fail(Code::read_failed, "cannot find the holes of {}: {}", file_.name(), errno_text(errno));
  // The ends of holes depend on the file system; what is cut must not.
  const std::uint64_t begin = std::max(from.bytes, round_down(static_cast<std::uint64_t>(data), kBlock.bytes));
  const std::uint64_t end = round_up(static_cast<std::uint64_t>(hole), kBlock.bytes);
  return Stored{{std::min(begin, all.bytes)}, {std::min(end, all.bytes)}};
}

Result<bool> ImportReader::read(Stored range) {
  for (Offset at = range.begin; at < range.end;) {
    if (filled_ == batch_->buffer.size()) {
      batch_->end = at;
      if (!next_batch()) return false;
    }
    const std::size_t room = batch_->buffer.size() - filled_;
    const std::size_t size = std::min({room, std::size_t{kRead.bytes}, std::size_t{(range.end - at).bytes}});
    if (const auto read = file_.read_at(at, MutableBytes(batch_->buffer).subspan(filled_, size)); !read)
      return pass(read.error(), "importing");
    take_in(size);
    at += Size{size};
  }
  return true;
}

void ImportReader::take_in(std::size_t size) {
  for (const std::size_t end = filled_ + size; filled_ < end;) {
    const std::size_t block = std::min<std::size_t>(kBlock.bytes, end - filled_);
    const bool zero = all_zero(ByteView(batch_->buffer).subspan(filled_, block));
    if (zero) add_zeros({block});
    filled_ += block;
    if (zero) cut_ = filled_;
  }
  // As long as the run may go on, only what is longer than any chunk shows where the next one ends.
  cut_run(kMaxChunk - 1_B);
}

void ImportReader::add_zeros(Size length) {
  if (length == Size{}) return;
  cut_run({});
  auto& items = batch_->items;
  if (items.empty() || items.back().kind != ExtentKind::zero) items.push_back({ExtentKind::zero, {}, 0, {}, {}});
  items.back().length += length;
}

void ImportReader::cut_run(Size left) {
  while (filled_ - cut_ > left.bytes) {
    const Size length = cut(ByteView(batch_->buffer).subspan(cut_, filled_ - cut_));
    batch_->items.push_back({ExtentKind::data, length, cut_, {}, {}});
    cut_ += length.bytes;
  }
}

bool ImportReader::next_batch() {
  auto next = line_.take_empty();
  if (!next) return false;
  const std::size_t run = filled_ - cut_;
  if (batch_) {
    std::memcpy(next->buffer.data(), batch_->buffer.data() + cut_, run);
    line_.submit(std::move(batch_));
  }
  batch_ = std::move(next);
  cut_ = 0;
  filled_ = run;
  return true;
}

}  // namespace stampede::chunker

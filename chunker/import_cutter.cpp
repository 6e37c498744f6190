#include "chunker/import_cutter.h"

#include <algorithm>

#include "chunker/cutter.h"

namespace stampede::chunker {
namespace {

// Small enough to be still in the CPU's cache when it is cut after it was compared with zeros.
constexpr std::size_t kStep = 256 << 10;

}  // namespace

void ImportCutter::cut(ImportBatch& batch) {
  batch_ = &batch;
  filled_ = kImportHead;
  cut_ = filled_ - run_.size();
  std::ranges::copy(run_, batch.bytes.data() + cut_);
  for (const ImportPart& part : batch.parts) {
    if (part.kind != ExtentKind::data) {
      add_gap(part.kind, part.length);
      continue;
    }
    if (part.apart) cut_run({});
    for (std::size_t left = part.length.bytes; left > 0;) {
      const std::size_t size = std::min(left, kStep);
      take_in(size);
      left -= size;
    }
  }
  if (batch.last) cut_run({});
  const auto rest = batch.bytes.subspan(cut_, filled_ - cut_);
  run_.assign(rest.begin(), rest.end());
}

void ImportCutter::take_in(std::size_t size) {
  for (const std::size_t end = filled_ + size; filled_ < end;) {
    const std::size_t block = std::min<std::size_t>(kBlock.bytes, end - filled_);
    const bool zero = all_zero(ByteView(batch_->bytes).subspan(filled_, block));
    if (zero) add_gap(ExtentKind::zero, {block});
    filled_ += block;
    if (zero) cut_ = filled_;
  }
  // As long as the run may go on, only what is longer than any chunk shows where the next one ends.
  cut_run(kMaxChunk - 1_B);
}

void ImportCutter::add_gap(ExtentKind kind, Size length) {
  cut_run({});
  auto& items = batch_->items;
  if (items.empty() || items.back().kind != kind) items.push_back({kind, {}, 0, {}, {}});
  items.back().length += length;
}

void ImportCutter::cut_run(Size left) {
  while (filled_ - cut_ > left.bytes) {
    const Size length = chunker::cut(ByteView(batch_->bytes).subspan(cut_, filled_ - cut_));
    batch_->items.push_back({ExtentKind::data, length, cut_, {}, {}});
    cut_ += length.bytes;
  }
}

}  // namespace stampede::chunker

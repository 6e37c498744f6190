#include "src/deploy/disk_diff.h"

#include <fcntl.h>

#include <algorithm>
#include <optional>

#include "chunker/parallel.h"
#include "chunker/seal.h"
#include "src/base/aligned.h"

namespace stampede::deploy {

namespace {
constexpr std::uint64_t kBlockSize = chunker::kBlock.bytes;
constexpr std::size_t kFetched = 64;  // chunks that are asked for at once

std::uint64_t blocks_of(Size disk) { return round_up(disk.bytes, kBlockSize) / kBlockSize; }
}  // namespace

DiskDiff::DiskDiff(std::filesystem::path disk, Size size, const chunker::Manifest& manifest,
                   std::vector<AlteredBlock> altered)
    : path_(std::move(disk)), size_(size), altered_(std::move(altered)), wrong_(blocks_of(size)) {
  for (const auto& segment : manifest.segments) {
    Offset at = segment.offset;
    for (const auto& record : segment.records) {
      if (record.kind == chunker::RecordKind::data || record.kind == chunker::RecordKind::repeat)
        add(at, record.length, &record.chunk);
      if (record.kind == chunker::RecordKind::zero) {
        const Offset end = at + record.length;
        for (Offset part = at; part < end; part += kRead) add(part, std::min(kRead, end - part), nullptr);
      }
      at += record.length;
    }
  }
}

void DiskDiff::add(Offset at, Size length, const chunker::ChunkId* chunk) {
  const bool joins = !batches_.empty() && items_.back().at + items_.back().length == at &&
                     at + length - items_[batches_.back().first].at <= kRead;
  if (!joins) batches_.push_back({items_.size(), 0});
  ++batches_.back().count;
  items_.push_back({at, length, chunk});
  total_ += length;
}

// A file system without O_DIRECT is read as it can be.
Result<File> DiskDiff::open() const {
  if (auto direct = File::open(path_, O_RDONLY | O_DIRECT)) return direct;
  return File::open(path_, O_RDONLY);
}

Result<> DiskDiff::read(const std::function<bool(Size read, Size total)>& progress) {
  std::atomic<bool> stopped = false;
  const auto make_job = [&]() -> chunker::Job {
    return [&, file = std::optional<File>(), memory = AlignedMemory(kRead.bytes + 2 * kBlockSize),
            digester = chunker::Digester()](std::size_t batch) mutable -> Result<> {
      if (stopped) return fail(Code::interrupted, "reading {} was interrupted", path_.string());
      if (!file) {
        STAMPEDE_TRY(file, open());
      }
      return check_batch(*file, batches_[batch], memory.bytes(), digester);
    };
  };
  STAMPEDE_CHECK(chunker::run_parallel(0, batches_.size(), make_job, [&] {
    if (!progress(bytes_read(), total_)) stopped = true;
  }));
  STAMPEDE_TRY(const File file, open());
  const AlignedMemory memory(kBlockSize);
  return check_altered(file, memory.bytes());
}

Result<> DiskDiff::check_batch(const File& file, Batch batch, MutableBytes memory, chunker::Digester& digester) {
  const std::span<const Item> items(items_.data() + batch.first, batch.count);
  const Offset begin{round_down(items.front().at.bytes, kBlockSize)};
  const Size length = items.back().at + items.back().length - begin;
  STAMPEDE_TRY(const std::size_t got, file.read_some_at(begin, memory.first(round_up(length.bytes, kBlockSize))));
  if (got < length.bytes) return fail(Code::read_failed, "{} ends at byte {}", path_.string(), begin.bytes + got);
  std::vector<const Item*> suspects, named;
  std::vector<ByteView> plain;
  for (const Item& item : items) {
    read_ += item.length.bytes;
    const ByteView bytes = memory.subspan((item.at - begin).bytes, item.length.bytes);
    if (item.chunk == nullptr) {
      if (!all_zero(bytes))
        count_blocks(item.at, item.length,
                     [&](std::size_t at, std::size_t size) { return !all_zero(bytes.subspan(at, size)); });
    } else if (has_altered(item.at, item.length)) {
      suspects.push_back(&item);
    } else {
      named.push_back(&item);
      plain.push_back(bytes);
    }
  }
  const auto chunks = digester.recognise(plain);
  for (std::size_t i = 0; i < chunks.size(); ++i)
    if (chunks[i].id() != *named[i]->chunk) suspects.push_back(named[i]);
  const std::lock_guard lock(mutex_);
  for (const Item* const item : suspects) suspects_.push_back(*item);
  return {};
}

Result<> DiskDiff::check_altered(const File& file, MutableBytes memory) {
  for (const AlteredBlock& block : altered_) {
    if (block.number >= wrong_.size())
      return fail(Code::content_altered, "a receipt tells of block {} of {}, which has {}", block.number, path_.string(),
                  wrong_.size());
    const Offset at{block.number * kBlockSize};
    const std::size_t whole = std::min(kBlockSize, size_.bytes - at.bytes);
    STAMPEDE_TRY(const std::size_t read, file.read_some_at(at, memory));
    if (read < whole || digest_of_altered(memory.first(whole)) != block.digest) wrong_[block.number] = true;
  }
  return {};
}

Result<> DiskDiff::narrow(Size most, const Fetch& fetch) {
  // Of chunks that were edited some blocks may well be right: these first.
  std::ranges::sort(suspects_, [this](const Item& a, const Item& b) {
    return std::pair(!has_altered(a.at, a.length), a.at) < std::pair(!has_altered(b.at, b.length), b.at);
  });
  STAMPEDE_TRY(const File file, open());
  const AlignedMemory memory(chunker::kMaxChunk.bytes + kBlockSize);
  chunker::Opener opener;
  Bytes plain(chunker::kMaxChunk.bytes);
  std::size_t next = 0;
  for (Size done; next < suspects_.size() && done < most;) {
    const std::span<const Item> items(suspects_.data() + next, std::min(kFetched, suspects_.size() - next));
    std::vector<chunker::ChunkId> ids;
    for (const Item& item : items) ids.push_back(*item.chunk);
    STAMPEDE_TRY(const auto sealed, fetch(ids));
    if (sealed.size() != ids.size()) return fail(Code::protocol, "{} chunks instead of {}", sealed.size(), ids.size());
    for (std::size_t i = 0; i < items.size(); ++i) {
      const MutableBytes out = MutableBytes(plain).first(items[i].length.bytes);
      STAMPEDE_TRY(const auto chunk,
                   opener.open({ids[i], sealed[i].codec, static_cast<std::uint32_t>(out.size()), sealed[i].bytes}, out));
      STAMPEDE_CHECK(compare(file, items[i], chunk.bytes(), memory.bytes()));
      done += items[i].length;
    }
    next += items.size();
  }
  for (; next < suspects_.size(); ++next)
    count_blocks(suspects_[next].at, suspects_[next].length, [](std::size_t, std::size_t) { return true; });
  return {};
}

Result<> DiskDiff::compare(const File& file, const Item& item, ByteView plain, MutableBytes memory) {
  const Offset begin{round_down(item.at.bytes, kBlockSize)};
  const std::size_t skip = (item.at - begin).bytes, length = item.length.bytes;
  STAMPEDE_TRY(const std::size_t got, file.read_some_at(begin, memory.first(round_up(skip + length, kBlockSize))));
  const ByteView bytes = ByteView(memory).first(std::min(got, skip + length)).subspan(std::min(got, skip));
  count_blocks(item.at, item.length, [&](std::size_t at, std::size_t size) {
    return at + size > bytes.size() || !std::ranges::equal(bytes.subspan(at, size), plain.subspan(at, size));
  });
  return {};
}

template <class Differs>
void DiskDiff::count_blocks(Offset at, Size length, Differs differs) {
  const std::lock_guard lock(mutex_);
  for (std::uint64_t within = 0; within < length.bytes;) {
    const std::uint64_t block = (at.bytes + within) / kBlockSize;
    const std::uint64_t size = std::min((block + 1) * kBlockSize - at.bytes - within, length.bytes - within);
    if (!is_altered(block) && differs(within, size)) wrong_[block] = true;
    within += size;
  }
}

bool DiskDiff::is_altered(std::uint64_t block) const {
  return std::ranges::binary_search(altered_, block, {}, &AlteredBlock::number);
}

bool DiskDiff::has_altered(Offset at, Size length) const {
  const auto first = std::ranges::lower_bound(altered_, at.bytes / kBlockSize, {}, &AlteredBlock::number);
  return first != altered_.end() && first->number * kBlockSize < (at + length).bytes;
}

std::vector<Range> DiskDiff::wrong() const {
  std::vector<Range> out;
  for (auto at = std::ranges::find(wrong_, true); at != wrong_.end();) {
    const auto end = std::find(at, wrong_.end(), false);
    const Offset first{static_cast<std::uint64_t>(at - wrong_.begin()) * kBlockSize};
    const Offset last{std::min(static_cast<std::uint64_t>(end - wrong_.begin()) * kBlockSize, size_.bytes)};
    out.push_back({first, last - first});
    at = std::find(end, wrong_.end(), true);
  }
  return out;
}

}  // namespace stampede::deploy

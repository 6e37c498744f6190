#include "cache/pack_check.h"

#include <algorithm>
#include <atomic>
#include <mutex>

#include "cache/pack.h"
#include "chunker/parallel.h"
#include "chunker/seal.h"

namespace stampede::cache {
namespace {

struct Progress {
  std::atomic<std::uint64_t> done = 0;
  Size total;
  std::mutex mutex;
  StoreCheck check;

  void problem(std::string line) {
    const std::lock_guard lock(mutex);
    check.problems.push_back(std::move(line));
  }
};

// Between the pack's head and its footer there is nothing but the records of the footer's entries.
void check_layout(const Pack& pack, std::span<const PackEntry> entries, Progress& progress) {
  Offset end{kPackHead};
  for (const PackEntry& entry : entries) {
    if (entry.record != end)
      return progress.problem(fmt::format("pack {}: records do not follow each other at byte {}", pack.name(), end.bytes));
    end = entry.end();
  }
  if (end != pack.records_end())
    progress.problem(
        fmt::format("pack {}: bytes {} to {} belong to no chunk", pack.name(), end.bytes, pack.records_end().bytes));
}

class Reader {
 public:
  Reader(const Pack& pack, Progress& progress) : pack_(pack), progress_(progress) {}

  void check(const PackEntry& entry) {
    progress_.done += entry.sealed_size;
    sealed_.resize(entry.sealed_size);
    if (const auto read = pack_.read(std::span(&entry, 1), sealed_); !read) return progress_.problem(read.error().message);
    if (plain_.size() < entry.plain_size) plain_.resize(entry.plain_size);
    if (const auto opened = opener_.open({entry.id, entry.codec, entry.plain_size, sealed_}, plain_); !opened)
      progress_.problem(
          fmt::format("pack {}: chunk at byte {}: {}", pack_.name(), entry.record.bytes, opened.error().message));
  }

 private:
  const Pack& pack_;
  Progress& progress_;
  chunker::Opener opener_;
  Bytes sealed_, plain_;
};

Result<> check_pack(const std::filesystem::path& path, Progress& progress, const std::function<void()>& tick) {
  ++progress.check.packs;
  const auto pack = Pack::open(path);
  if (!pack) {
    progress.problem(pack.error().message);
    return {};
  }
  const Footer& footer = (*pack)->footer();
  std::vector<PackEntry> entries;
  entries.reserve(footer.size());
  for (std::size_t i = 0; i < footer.size(); ++i) entries.push_back(footer.entry(i));
  std::ranges::sort(entries, {}, &PackEntry::record);
  check_layout(**pack, entries, progress);
  progress.check.chunks += entries.size();
  for (const PackEntry& entry : entries) progress.check.bytes += entry.sealed_size;

  const auto job = [&]() -> chunker::Job {
    return [&entries, reader = std::make_unique<Reader>(**pack, progress)](std::size_t i) -> Result<> {
      reader->check(entries[i]);
      return {};
    };
  };
  return chunker::run_parallel(0, entries.size(), job, tick);
}

}  // namespace

Result<StoreCheck> check_folder(const std::filesystem::path& folder,
                                const std::function<void(Size done, Size total)>& report) {
  Progress progress;
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (!is_pack_name(it->path().filename().string())) continue;
    std::error_code gone;
    const std::uintmax_t size = it->file_size(gone);
    if (gone) continue;
    paths.push_back(it->path());
    progress.total += Size{size};
  }
  if (error) return fail(Code::usage, "cannot list {}: {}", folder.string(), error.message());
  std::ranges::sort(paths);

  const auto tick = [&] {
    if (report) report({std::min<std::uint64_t>(progress.done, progress.total.bytes)}, progress.total);
  };
  for (const std::filesystem::path& path : paths) STAMPEDE_CHECK(check_pack(path, progress, tick));
  if (report) report(progress.total, progress.total);
  std::ranges::sort(progress.check.problems);
  return std::move(progress.check);
}

}  // namespace stampede::cache

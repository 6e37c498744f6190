#include "cache/pack_check.h"

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <tuple>

#include "cache/check_pass.h"
#include "chunker/parallel.h"
#include "chunker/seal.h"

namespace stampede::cache {
namespace {

constexpr Duration kSaveEvery = std::chrono::seconds(2);

// The ids of the records that follow each other from the start of a pack that cannot be opened, by their heads alone.
std::vector<chunker::ChunkId> ids_by_heads(const std::filesystem::path& path) {
  std::vector<chunker::ChunkId> ids;
  const auto file = File::open(path, O_RDONLY);
  if (!file) return ids;
  RecordHead head{};
  Offset at{kPackHead};
  while (ids.size() < kPackEntries) {
    if (const auto got = file->read_some_at(at, head); !got || *got < head.size()) break;
    const auto entry = decode_record_head(head, at);
    if (!entry) break;
    ids.push_back(entry->id);
    at = entry->end();
  }
  return ids;
}

class FolderCheck {
 public:
  FolderCheck(const std::filesystem::path& folder, const std::filesystem::path& state, const CheckOptions& options)
      : folder_(folder), state_(state), options_(options), pass_(CheckPass::load(state, now())) {
    if (options.from_start) pass_.restart(now());
  }

  Result<StoreCheck> run() {
    STAMPEDE_CHECK(list());
    clear_leftovers();
    auto done = read_all();
    save();
    if (!done) return pass(done.error());
    if (options_.percent >= 100) std::filesystem::remove(state_, ignored_);
    if (options_.progress) options_.progress(total_, total_);
    std::ranges::sort(found_.problems);
    std::ranges::sort(found_.bad, {}, [](const BadChunk& bad) { return std::tie(bad.pack, bad.id); });
    return std::move(found_);
  }

 private:
  static UnixTime now() { return system_clock().unix_time(); }

  Result<> list() {
    std::error_code error;
    for (std::filesystem::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
      if (!is_pack_name(it->path().filename().string())) continue;
      std::error_code gone;
      const std::uintmax_t size = it->file_size(gone);
      if (gone) continue;
      paths_.push_back(it->path());
      total_ += Size{size};
    }
    if (error) return fail(Code::usage, "cannot list {}: {}", folder_.string(), error.message());
    std::ranges::sort(paths_);
    pass_.keep_only(paths_);
    budget_ = options_.percent >= 100 ? UINT64_MAX : total_.bytes / 100 * options_.percent + 1;
    if (options_.percent < 100) total_ = Size{std::min(total_.bytes, budget_)};
    return {};
  }

  // Of those who were killed while they saved.
  void clear_leftovers() {
    const std::string prefix = state_.filename().string() + ".new-";
    std::vector<std::filesystem::path> old;
    for (std::filesystem::directory_iterator it(state_.parent_path(), ignored_), end; !ignored_ && it != end;
         it.increment(ignored_))
      if (it->path().filename().string().starts_with(prefix)) old.push_back(it->path());
    for (const auto& path : old) std::filesystem::remove(path, ignored_);
  }

  Result<> read_all() {
    for (const auto& path : paths_) STAMPEDE_CHECK(visit(path, true));
    found_.complete = budget_ > 0;
    if (options_.percent >= 100 || budget_ == 0) return {};
    // The pass is over; the rest of the share is the beginning of the next.
    pass_.restart(now());
    for (const auto& path : paths_) STAMPEDE_CHECK(visit(path, false));
    return {};
  }

  // So that a later run can go on. Where it cannot be kept, that run begins anew.
  void save() {
    saved_ = system_clock().now();
    [[maybe_unused]] const auto kept = replace_file(state_, pass_.encode());
  }

  void tick() {
    if (options_.progress) options_.progress({std::min<std::uint64_t>(done_, total_.bytes)}, total_);
  }

  Result<> visit(const std::filesystem::path& path, bool first) {
    const auto opened = Pack::open(path);
    if (!opened) {
      if (first) cannot_open(path, opened.error());
      return {};
    }
    const Pack& pack = *opened->pack;
    const bool again = !pass_.is_sound(pack);
    if (again && !first) return {};  // read a moment ago
    const std::vector<PackEntry> entries = entries_of(opened->footer);
    if (first) count(pack, entries);
    STAMPEDE_CHECK(read(pack, entries, again));
    if (system_clock().now() - saved_ > kSaveEvery) save();
    return {};
  }

  static std::vector<PackEntry> entries_of(const Footer& footer) {
    std::vector<PackEntry> entries;
    entries.reserve(footer.size());
    for (std::uint32_t i = 0; i < footer.size(); ++i) entries.push_back(footer.entry(i));
    std::ranges::sort(entries, {}, &PackEntry::record);
    return entries;
  }

  // Between the pack's head and its footer there is nothing but the records of the footer's entries.
  void count(const Pack& pack, std::span<const PackEntry> entries) {
    ++found_.packs;
    found_.chunks += entries.size();
    Offset end{kPackHead};
    for (const PackEntry& entry : entries) {
      found_.bytes += entry.sealed_size;
      if (entry.record != end)
        return problem(fmt::format("pack {}: records do not follow each other at byte {}", pack.name(), end.bytes));
      end = entry.end();
    }
    if (end != pack.records_end())
      problem(fmt::format("pack {}: bytes {} to {} belong to no chunk", pack.name(), end.bytes, pack.records_end().bytes));
  }

  // From where it is still to be read, as far as the budget goes; what was damaged before costs none.
  Result<> read(const Pack& pack, const std::vector<PackEntry>& entries, bool again) {
    const auto begin = std::ranges::lower_bound(entries, pass_.begin_of(pack), {}, &PackEntry::record);
    auto end = begin;
    std::uint64_t size = 0;
    for (; end != entries.end() && (again || size < budget_); ++end) size += kRecordHead + end->sealed_size;
    if (begin == end) {
      done_ += pack.stamp().size;
      return {};
    }
    const Offset from = begin->record;
    const Offset until = end == entries.end() ? pack.records_end() : end->record;
    if (options_.percent >= 100) done_ += from.bytes;
    // Memory would not show what has become of the disk.
    ::posix_fadvise(pack.file().fd(), static_cast<off_t>(from.bytes), static_cast<off_t>((until - from).bytes),
                    POSIX_FADV_DONTNEED);
    const std::size_t bad = found_.bad.size() + found_.more_bad;
    const std::span<const PackEntry> slice(begin, end);
    const auto runs = runs_of(slice);
    const auto job = [&]() -> chunker::Job {
      return [this, &pack, &runs, buffers = std::make_unique<Buffers>()](std::size_t i) -> Result<> {
        // As often as there are records.
        for (std::size_t record = 0; record < runs[i].size(); ++record)
          if (options_.interrupted && options_.interrupted())
            return fail(Code::interrupted, "the check was interrupted; the same command goes on with it");
        if (!is_sound(pack, runs[i], *buffers))
          for (const PackEntry& entry : runs[i]) check(pack, entry, *buffers);  // which one is it?
        for (const PackEntry& entry : runs[i]) done_ += kRecordHead + entry.sealed_size;
        return {};
      };
    };
    STAMPEDE_CHECK(chunker::run_parallel(0, runs.size(), job, [this] { tick(); }));
    for (const PackEntry& entry : slice) found_.read += entry.sealed_size;
    pass_.note(pack, until, bad == found_.bad.size() + found_.more_bad);
    if (!again) budget_ -= std::min(budget_, size);
    if (options_.percent >= 100) done_ += pack.stamp().size - until.bytes;
    return {};
  }

  // What is read and opened at once: records that follow each other, of no more plain bytes than a span, or a single one.
  static std::vector<std::span<const PackEntry>> runs_of(std::span<const PackEntry> entries) {
    std::vector<std::span<const PackEntry>> runs;
    while (!entries.empty()) {
      runs.push_back(Pack::next_run(entries, chunker::kSpan));
      entries = entries.subspan(runs.back().size());
    }
    return runs;
  }

  struct Buffers {
    chunker::Opener opener;
    Bytes sealed, plain;
    // Of at least that size.
    static MutableBytes room(Bytes& in, std::size_t size) {
      if (in.size() < size) in.resize(size);
      return MutableBytes(in).first(size);
    }
  };
  static bool is_sound(const Pack& pack, std::span<const PackEntry> run, Buffers& with) {
    std::size_t sealed_size = 0, plain_size = 0;
    for (const PackEntry& entry : run) sealed_size += entry.sealed_size, plain_size += entry.plain_size;
    const MutableBytes sealed = Buffers::room(with.sealed, sealed_size);
    if (!pack.read(run, sealed)) return false;
    std::vector<chunker::UntrustedChunk> chunks;
    std::size_t at = 0;
    for (const PackEntry& entry : run) {
      chunks.push_back({entry.id, entry.codec, entry.plain_size, ByteView(sealed).subspan(at, entry.sealed_size)});
      at += entry.sealed_size;
    }
    return with.opener.open(chunks, Buffers::room(with.plain, plain_size)).has_value();
  }

  void check(const Pack& pack, const PackEntry& entry, Buffers& with) {
    const MutableBytes sealed = Buffers::room(with.sealed, entry.sealed_size);
    if (pack.read(std::span(&entry, 1), sealed)) {
      const auto opened =
          with.opener.open({entry.id, entry.codec, entry.plain_size, sealed}, Buffers::room(with.plain, entry.plain_size));
      if (!opened) bad(entry.id, pack.name(), fmt::format("at byte {}: {}", entry.record.bytes, opened.error().message));
    } else if (const auto had = pack.file().read_at(entry.sealed(), sealed); !had) {
      bad(entry.id, pack.name(), had.error().message);
    } else {
      bad(entry.id, pack.name(), fmt::format("altered at byte {}", entry.record.bytes));
    }
  }

  void cannot_open(const std::filesystem::path& path, const Error& error) {
    if (const auto there = stamp_of(path); !there && there.error().code == Code::not_found) return;  // removed meanwhile
    ++found_.packs;
    problem(error.message);
    for (const chunker::ChunkId& id : ids_by_heads(path)) bad(id, path.string(), "its pack cannot be opened");
  }

  void problem(std::string line) { found_.problems.push_back(std::move(line)); }
  void bad(const chunker::ChunkId& id, const std::filesystem::path& pack, std::string what) {
    const std::lock_guard lock(mutex_);
    if (found_.bad.size() < kMaxBadChunks)
      found_.bad.push_back({id, pack.filename().string(), std::move(what)});
    else
      ++found_.more_bad;
  }

  const std::filesystem::path& folder_;
  const std::filesystem::path& state_;
  const CheckOptions& options_;
  CheckPass pass_;
  std::vector<std::filesystem::path> paths_;
  Size total_;
  std::uint64_t budget_ = 0;  // bytes that may still be read
  std::atomic<std::uint64_t> done_ = 0;
  Instant saved_;
  std::mutex mutex_;  // guards the list of bad chunks while several threads read
  StoreCheck found_;
  std::error_code ignored_;
};

}  // namespace

Result<StoreCheck> check_folder(const std::filesystem::path& folder, const std::filesystem::path& state,
                                const CheckOptions& options) {
  return FolderCheck(folder, state, options).run();
}

}  // namespace stampede::cache

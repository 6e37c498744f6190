#include "cache/pack_salvage.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <unordered_set>

#include "cache/pack_writer.h"
#include "chunker/seal.h"

namespace stampede::cache {
namespace {

constexpr Size kWindow = 1_MiB;

// Where in the window, which begins at `at`, a record's sound head is; nothing that has its first bytes alone.
std::optional<std::size_t> find_head(ByteView window, Offset at) {
  static constexpr std::string_view kMagic = "CHNK";
  const std::string_view text = as_text(window);
  for (std::size_t i = text.find(kMagic); i != std::string_view::npos && i + kRecordHead <= window.size();
       i = text.find(kMagic, i + 1))
    if (decode_record_head(window.subspan(i, kRecordHead), at + Size{i})) return i;
  return std::nullopt;
}

// The next place, from `at` on, where a record begins; the end of the file where there is none.
Offset find_record(const File& file, Offset at, Size size) {
  Bytes window(kWindow.bytes);
  while (at.bytes + kRecordHead <= size.bytes) {
    const auto got = file.read_some_at(at, window);
    // A bad sector: what is behind it may well be read.
    if (!got || *got < kRecordHead) {
      at = {round_down(at.bytes, 4096) + 4096};
      continue;
    }
    if (const auto found = find_head(ByteView(window).first(*got), at)) return at + Size{*found};
    at += Size{*got - kRecordHead + 1};
  }
  return {size.bytes};
}

class Rewriter {
 public:
  explicit Rewriter(const std::filesystem::path& folder) : folder_(folder) {}

  Result<> take(const PackEntry& entry, ByteView sealed) {
    plain_.resize(std::max<std::size_t>(plain_.size(), entry.plain_size));
    if (!opener_.open({entry.id, entry.codec, entry.plain_size, sealed}, plain_)) return {};
    if (!seen_.insert(entry.id).second) return {};
    if (!writer_) {
      STAMPEDE_TRY(writer_, PackWriter::create(folder_));
    }
    STAMPEDE_CHECK(writer_->append({entry.id, entry.codec, entry.plain_size, copy(sealed)}));
    ++salvaged.chunks;
    salvaged.bytes += Size{entry.sealed_size};
    return writer_->is_full() ? publish() : Result<>();
  }
  Result<> publish() {
    if (!writer_) return {};
    STAMPEDE_TRY(const auto path, writer_->publish());
    writer_.reset();
    salvaged.packs.push_back(path.filename().string());
    return {};
  }

  Salvaged salvaged;

 private:
  const std::filesystem::path folder_;
  std::unique_ptr<PackWriter> writer_;
  std::unordered_set<chunker::ChunkId> seen_;
  chunker::Opener opener_;
  Bytes plain_;
};

// A name of its own, should one of this name have been put aside before.
std::filesystem::path free_name(const std::filesystem::path& folder, const std::string& name) {
  std::filesystem::path path = folder / name;
  std::error_code ignored;
  for (unsigned i = 1; std::filesystem::exists(path, ignored); ++i) path = folder / fmt::format("{}.{}", name, i);
  return path;
}

}  // namespace

Result<> scan_all(const File& file, const std::function<Result<>(const PackEntry& entry, ByteView sealed)>& take) {
  STAMPEDE_TRY(const Size size, file.size());
  RecordHead head;
  Bytes sealed;
  for (Offset at{kPackHead}; at.bytes + kRecordHead <= size.bytes;) {
    const auto read = file.read_at(at, head);
    const Result<PackEntry> entry = read ? decode_record_head(head, at) : pass(read.error());
    if (!entry || entry->end().bytes > size.bytes) {
      at = find_record(file, at + 1_B, size);
      continue;
    }
    sealed.resize(entry->sealed_size);
    if (file.read_at(entry->sealed(), sealed) && matches(head, sealed)) STAMPEDE_CHECK(take(*entry, sealed));
    at = entry->end();  // the head is sound, and so are the lengths in it
  }
  return {};
}

Result<Salvaged> salvage_pack(const std::filesystem::path& folder, const std::string& name,
                              const std::filesystem::path& aside) {
  const std::filesystem::path path = folder / name;
  STAMPEDE_TRY(const File file, File::open(path, O_RDONLY));
  Rewriter rewriter(folder);
  STAMPEDE_CHECK(scan_all(file, [&](const PackEntry& entry, ByteView sealed) { return rewriter.take(entry, sealed); }));
  STAMPEDE_CHECK(rewriter.publish());
  Salvaged& salvaged = rewriter.salvaged;
  // Where only its footer was damaged the new pack has its very name, and has taken its place.
  if (std::ranges::find(salvaged.packs, name) != salvaged.packs.end()) return std::move(salvaged);
  STAMPEDE_CHECK(make_folders(aside));
  salvaged.aside = free_name(aside, name);
  if (std::rename(path.c_str(), salvaged.aside.c_str()) != 0)
    return fail(Code::write_failed, "cannot move {} to {}: {}", path.string(), salvaged.aside.string(), errno_text(errno));
  STAMPEDE_CHECK(sync_folder(aside));
  STAMPEDE_CHECK(sync_folder(folder));
  return std::move(salvaged);
}

Result<std::vector<std::string>> damaged_packs(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::string name = it->path().filename().string();
    if (!is_pack_name(name)) continue;
    const auto pack = Pack::open(it->path());
    if (!pack && pack.error().code == Code::store_damaged) names.push_back(std::move(name));
  }
  if (error) return fail(Code::usage, "cannot list {}: {}", folder.string(), error.message());
  std::ranges::sort(names);
  return names;
}

}  // namespace stampede::cache

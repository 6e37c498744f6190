#include "cache/pack_recovery.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <unordered_set>

#include "cache/pack_writer.h"

namespace stampede::cache {

Result<SoundRecords> scan_records(const File& file) {
  SoundRecords found{.entries = {}, .end = {kPackHead}};
  STAMPEDE_TRY(const Size size, file.size());
  std::array<std::byte, kPackHead> pack_head{};
  STAMPEDE_TRY(const std::size_t got, file.read_some_at({}, pack_head));
  if (!is_pack_head(ByteView(pack_head).first(got))) return found;

  std::unordered_set<chunker::ChunkId> seen;
  RecordHead head;
  Bytes sealed;
  while (found.entries.size() < kPackEntries && found.end.bytes + kRecordHead <= size.bytes) {
    STAMPEDE_CHECK(file.read_at(found.end, head));
    const auto entry = decode_record_head(head, found.end);
    if (!entry || entry->end().bytes > size.bytes) break;
    sealed.resize(entry->sealed_size);
    STAMPEDE_CHECK(file.read_at(entry->sealed(), sealed));
    if (!matches(head, sealed) || !seen.insert(entry->id).second) break;
    found.entries.push_back(*entry);
    found.end = entry->end();
  }
  return found;
}

namespace {

// Locks the file if its writer is gone. Nothing if it is not, or if somebody else recovered it in the meantime.
Result<std::optional<File>> take_over(const std::filesystem::path& path) {
  auto file = File::open(path, O_RDWR);
  struct stat opened{}, named{};
  if (!file) {
    if (::stat(path.c_str(), &named) != 0 && errno == ENOENT) return std::nullopt;
    return pass(file.error(), "recovering a pack");
  }
  if (::flock(file->fd(), LOCK_EX | LOCK_NB) != 0) return std::nullopt;
  if (::fstat(file->fd(), &opened) != 0 || ::stat(path.c_str(), &named) != 0 || opened.st_ino != named.st_ino)
    return std::nullopt;
  return std::optional(*std::move(file));
}

Result<std::optional<std::string>> recover(const std::filesystem::path& path) {
  STAMPEDE_TRY(std::optional<File> file, take_over(path));
  if (!file) return std::nullopt;
  STAMPEDE_TRY(const Size size, file->size());
  STAMPEDE_TRY(SoundRecords sound, scan_records(*file));
  const std::string name = path.filename().string();
  if (sound.entries.empty()) {
    ::unlink(path.c_str());
    return fmt::format("removed {}: {} without a whole record", name, human_size(size.bytes));
  }
  const std::size_t count = sound.entries.size();
  const Size cut{size.bytes - sound.end.bytes};
  STAMPEDE_TRY(const auto writer, PackWriter::resume(path, *std::move(file), std::move(sound.entries), sound.end));
  STAMPEDE_TRY(const auto published, writer->publish());
  return fmt::format("recovered {} as {}: {} chunks kept, {} cut off", name, published.filename().string(), count,
                     human_size(cut.bytes));
}

}  // namespace

Result<std::vector<std::string>> recover_packs(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> open;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if (it->path().extension() == ".open") open.push_back(it->path());
  if (error) return fail(Code::usage, "cannot list {}: {}", folder.string(), error.message());

  std::vector<std::string> lines;
  for (const std::filesystem::path& path : open) {
    // Nothing in there was committed: what cannot be recovered must not keep the store shut.
    auto line = recover(path);
    if (!line) line = fmt::format("could not recover {}: {}", path.filename().string(), line.error().message);
    if (*line) lines.push_back(**std::move(line));
  }
  return lines;
}

}  // namespace stampede::cache

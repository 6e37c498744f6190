#include "cache/pack_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "cache/lease.h"
#include "chunker/digest.h"
#include "src/base/seams.h"

namespace stampede::cache {
namespace {

constexpr Size kBuffer = 1_MiB;
// Write-back is started in steps of this, so that the final flush finds little left to do.
constexpr Size kWriteBack = 16_MiB;

std::filesystem::path fresh_path(const std::filesystem::path& folder) {
  std::array<std::byte, 16> random;
  system_random().fill(random);
  return folder / (to_hex(random) + ".open");
}

}  // namespace

Result<std::unique_ptr<PackWriter>> PackWriter::create(const std::filesystem::path& folder) {
  while (true) {
    const std::filesystem::path path = fresh_path(folder);
    STAMPEDE_TRY(File file, File::open(path, O_RDWR | O_CREAT | O_EXCL));
    // Between open and flock a recovering process may take the empty file for a dead one's and remove it.
    struct stat status{};
    if (::flock(file.fd(), LOCK_EX | LOCK_NB) != 0 || ::fstat(file.fd(), &status) != 0 || status.st_nlink == 0) continue;
    std::unique_ptr<PackWriter> writer(new PackWriter(path, std::move(file)));
    writer->buffer_ = encode_pack_head();
    writer->end_ = {kPackHead};
    return writer;
  }
}

Result<std::unique_ptr<PackWriter>> PackWriter::resume(const std::filesystem::path& path, File file,
                                                       std::vector<PackEntry> entries, Offset end) {
  std::unique_ptr<PackWriter> writer(new PackWriter(path, std::move(file)));
  writer->entries_ = std::move(entries);
  writer->end_ = end;
  STAMPEDE_CHECK(writer->file_.truncate({end.bytes}));
  return writer;
}

PackWriter::~PackWriter() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

Result<> PackWriter::append(const chunker::SealedChunk& chunk) {
  const RecordHead head = encode_record_head(chunk);
  // A chunk that no reader would take must not get in.
  STAMPEDE_TRY(const PackEntry entry, decode_record_head(head, end_));
  entries_.push_back(entry);
  buffer_.insert(buffer_.end(), head.begin(), head.end());
  buffer_.insert(buffer_.end(), chunk.bytes.begin(), chunk.bytes.end());
  end_ = entry.end();
  if (buffer_.size() < kBuffer.bytes) return {};
  return flush();
}

Result<> PackWriter::flush() {
  STAMPEDE_CHECK(file_.write_at({end_.bytes - buffer_.size()}, buffer_));
  buffer_.clear();
  if (end_ - started_ >= kWriteBack) {
    // Only a hint: what it misses, the flush does.
    (void)::sync_file_range(file_.fd(), static_cast<off_t>(started_.bytes), static_cast<off_t>((end_ - started_).bytes),
                            SYNC_FILE_RANGE_WRITE);
    started_ = end_;
  }
  return {};
}

Result<std::filesystem::path> PackWriter::publish() {
  const Offset records_end = end_;
  const Bytes footer = encode_footer(std::move(entries_), records_end);
  buffer_.insert(buffer_.end(), footer.begin(), footer.end());
  end_ += Size{footer.size()};
  STAMPEDE_CHECK(flush());
  // One flush for records and footer: until the rename nobody trusts either, and recovery checks each record.
  STAMPEDE_CHECK(file_.sync());
  std::filesystem::path published = pack_path(path_.parent_path(), chunker::sha256(footer));
  // A pack of that name holds the same chunks at the same places: replacing it changes nothing. But not between the look and
  // the unlink of a garbage collection that is about to remove it.
  STAMPEDE_TRY(const File naming, lock(path_.parent_path()));
  if (::rename(path_.c_str(), published.c_str()) != 0)
    return fail(Code::write_failed, "cannot rename {} to {}: {}", path_.string(), published.string(), errno_text(errno));
  const std::filesystem::path folder = path_.parent_path();
  path_.clear();
  STAMPEDE_CHECK(sync_folder(folder));
  return published;
}

}  // namespace stampede::cache

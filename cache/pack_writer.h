// Writes one pack: "<random>.open" under flock(2), then its footer, its name and the folder, so that a crash leaves either a
// closed pack or a file whose sound records recovery keeps. One thread at a time.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "cache/pack.h"

namespace stampede::cache {

class PackWriter {
 public:
  // In `folder`, an existing one. Errors: usage, no_space, write_failed.
  static Result<std::unique_ptr<PackWriter>> create(const std::filesystem::path& folder);
  // Takes over the locked `file` at `path`: its records, the last of which ends at `end`; the rest of it is cut off.
  static Result<std::unique_ptr<PackWriter>> resume(const std::filesystem::path& path, File file,
                                                    std::vector<PackEntry> entries, Offset end);
  // Removes what was not published.
  ~PackWriter();
  PackWriter(const PackWriter&) = delete;
  PackWriter& operator=(const PackWriter&) = delete;

  // Errors: no_space, write_failed; nothing but the destructor may follow an error.
  Result<> append(const chunker::SealedChunk& chunk);
  bool is_full() const { return end_.bytes >= kPackSize.bytes || entries_.size() >= kPackEntries; }
  std::size_t count() const { return entries_.size(); }

  // Makes the records durable and gives the pack its name; there is at least one. Returns its path.
  Result<std::filesystem::path> publish();

 private:
  PackWriter(std::filesystem::path path, File file) : path_(std::move(path)), file_(std::move(file)) {}
  Result<> flush();

  std::filesystem::path path_;  // empty once published
  File file_;
  std::vector<PackEntry> entries_;
  Bytes buffer_;    // records that are not written yet
  Offset end_;      // of the records, with the buffer
  Offset started_;  // up to where write-back has been started
};

}  // namespace stampede::cache

// The file seam: descriptors that close themselves, whole-file reading with a limit, and replacing a file so that a crash
// leaves the old or the new one. Disks are written through src/disk alone; this is for everything else.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/units.h"

namespace stampede {

// Which file it is and when it was last changed: two equal stamps are of one file that nobody has written in between.
struct FileStamp {
  std::uint64_t device = 0, inode = 0, size = 0;
  std::int64_t modified = 0, changed = 0;  // nanoseconds
  bool regular = false;
  bool operator==(const FileStamp&) const = default;
};
// Error: not_found; read_failed.
Result<FileStamp> stamp_of(const std::filesystem::path& path);

// An open file descriptor. Movable; closes at the end of its life. Positioned reads and writes are thread-safe.
class File {
 public:
  File() = default;
  explicit File(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
  File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)), name_(std::move(other.name_)) {}
  File& operator=(File&& other) noexcept;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File();

  // open(2) with O_CLOEXEC; `mode` counts only with O_CREAT. Errors: usage where the path cannot be opened.
  static Result<File> open(const std::filesystem::path& path, int flags, unsigned mode = 0600);
  // A new file in `folder` that nobody else can find, to read and write (0600): it goes with its last descriptor, also where
  // this process is killed. `name` is what errors call it. Errors: usage, no_space, read_only.
  static Result<File> unnamed(const std::filesystem::path& folder, std::string name);

  int fd() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  const std::string& name() const { return name_; }

  // Size of a regular file or block device.
  Result<Size> size() const;
  Result<FileStamp> stamp() const;
  // What the file system that it is on still has for new data, and holds in all.
  struct Space {
    Size free, all;
  };
  Result<Space> space() const;
  // By which this process, and no other, opens it anew.
  std::filesystem::path path() const;
  // Fills `out` wholly, or fails (read_failed): the end of the file inside the range is an error.
  Result<> read_at(Offset offset, MutableBytes out) const;
  // The first range from `from` on that is not a hole, cut off at `end`; empty at `end` where only a hole is left. Who
  // cannot tell holes, such as a device, stores all. Moves the descriptor's own position. Error: read_failed.
  struct Stored {
    Offset begin, end;
    auto operator<=>(const Stored&) const = default;
  };
  Result<Stored> next_stored(Offset from, Offset end) const;
  // As much as there is; fewer bytes than asked mean the end of the file.
  Result<std::size_t> read_some_at(Offset offset, MutableBytes out) const;
  // Writes all, or fails (no_space, write_failed).
  Result<> write_at(Offset offset, ByteView bytes) const;
  Result<> truncate(Size size) const;
  // fdatasync(2); errors: flush_failed.
  Result<> sync() const;

 private:
  int fd_ = -1;
  std::string name_;
};

// Whole files, pipes too. Errors: usage, also where there is more than `limit`.
Result<Bytes> read_file(const std::filesystem::path& path, Size limit);
// The same of a file that others make and remove meanwhile: nothing where there was none when it was opened.
Result<std::optional<Bytes>> read_file_if_there(const std::filesystem::path& path, Size limit);
// Writes a temporary file beside `path`, syncs, renames over it and syncs the folder.
Result<> replace_file(const std::filesystem::path& path, ByteView bytes, unsigned mode = 0600);
// Gives a finished file its name and syncs the folder. Errors: usage where the name is taken already; write_failed.
Result<> rename_to_new(const std::filesystem::path& from, const std::filesystem::path& to);
// fsync(2) of a folder, so that names made in it survive a crash.
Result<> sync_folder(const std::filesystem::path& folder);
// mkdir -p with mode 0700 for what it makes.
Result<> make_folders(const std::filesystem::path& folder);

}  // namespace stampede

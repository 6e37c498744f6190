#include "src/base/file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace stampede {

namespace {

std::int64_t nanoseconds(const timespec& time) { return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

// By /proc/self/fd/N nobody would know it.
std::string name_of(const std::filesystem::path& path) {
  if (path.parent_path() != "/proc/self/fd") return path.string();
  std::error_code error;
  const auto real = std::filesystem::read_symlink(path, error);
  return error ? path.string() : real.string();
}

FileStamp stamp_from(const struct stat& status) {
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .size = static_cast<std::uint64_t>(status.st_size),
          .modified = nanoseconds(status.st_mtim),
          .changed = nanoseconds(status.st_ctim),
          .regular = S_ISREG(status.st_mode)};
}

// What cannot be made is the caller's mistake, but for a disk that is full or fails.
Code code_of_making(int error) {
  if (error == ENOSPC || error == EDQUOT) return Code::no_space;
  return error == EIO ? Code::write_failed : Code::usage;
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

}  // namespace

Result<FileStamp> stamp_of(const std::filesystem::path& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0)
    return fail(errno == ENOENT ? Code::not_found : Code::read_failed, "cannot stat {}: {}", path.string(),
                errno_text(errno));
  return stamp_from(status);
}

File& File::operator=(File&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = std::exchange(other.fd_, -1);
    name_ = std::move(other.name_);
  }
  return *this;
}

File::~File() {
  if (fd_ >= 0) ::close(fd_);
}

Result<File> File::open(const std::filesystem::path& path, int flags, unsigned mode) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  if (fd < 0)
    return fail((flags & O_ACCMODE) == O_RDONLY ? Code::usage : code_of_making(errno), "cannot open {}: {}", path.string(),
                errno_text(errno));
  return File(fd, name_of(path));
}

Result<File> File::unnamed(const std::filesystem::path& folder, std::string name) {
  int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {  // a file system that has none, such as NFS
    std::string path = (folder / ".unnamed-XXXXXX").string();
    fd = ::mkostemp(path.data(), O_CLOEXEC);
    if (fd >= 0) ::unlink(path.c_str());
  }
  if (fd >= 0) return File(fd, std::move(name));
  const Code code = errno == ENOSPC || errno == EDQUOT ? Code::no_space : errno == EROFS ? Code::read_only : Code::usage;
  return fail(code, "cannot make a file in {}: {}", folder.string(), errno_text(errno));
}

std::filesystem::path File::path() const { return fmt::format("/proc/self/fd/{}", fd_); }

Result<File::Space> File::space() const {
  struct statvfs status{};
  if (::fstatvfs(fd_, &status) != 0)
    return fail(Code::read_failed, "cannot tell how much space {} has: {}", name_, errno_text(errno));
  return Space{{status.f_bavail * status.f_frsize}, {status.f_blocks * status.f_frsize}};
}

Result<Size> File::size() const {
  struct stat status{};
  if (::fstat(fd_, &status) != 0) return fail(Code::read_failed, "cannot stat {}: {}", name_, errno_text(errno));
  if (!S_ISBLK(status.st_mode)) return Size{static_cast<std::uint64_t>(status.st_size)};
  std::uint64_t bytes = 0;
  if (::ioctl(fd_, BLKGETSIZE64, &bytes) != 0)
    return fail(Code::read_failed, "cannot tell the size of {}: {}", name_, errno_text(errno));
  return Size{bytes};
}

Result<FileStamp> File::stamp() const {
  struct stat status{};
  if (::fstat(fd_, &status) != 0) return fail(Code::read_failed, "cannot stat {}: {}", name_, errno_text(errno));
  return stamp_from(status);
}

Result<File::Stored> File::next_stored(Offset from, Offset end) const {
  const off_t data = ::lseek(fd_, static_cast<off_t>(from.bytes), SEEK_DATA);
  if (data < 0 && errno == ENXIO) return Stored{end, end};
  if (data < 0) return Stored{from, end};
  const off_t hole = ::lseek(fd_, data, SEEK_HOLE);
  if (hole < 0) return fail(Code::read_failed, "cannot find the holes of {}: {}", name_, errno_text(errno));
  return Stored{std::min(Offset{static_cast<std::uint64_t>(data)}, end),
                std::min(Offset{static_cast<std::uint64_t>(hole)}, end)};
}

Result<std::size_t> File::read_some_at(Offset offset, MutableBytes out) const {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t n = ::pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(offset.bytes + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      return fail(Code::read_failed, "cannot read {} at byte {}: {}", name_, offset.bytes + done, errno_text(errno));
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

Result<> File::read_at(Offset offset, MutableBytes out) const {
  STAMPEDE_TRY(const std::size_t got, read_some_at(offset, out));
  if (got < out.size())
    return fail(Code::read_failed, "{} ends at byte {}, {} bytes short", name_, offset.bytes + got, out.size() - got);
  return {};
}

Result<> File::write_at(Offset offset, ByteView bytes) const {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::pwrite(fd_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset.bytes + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const int error = n < 0 ? errno : ENOSPC;
      return fail(error == ENOSPC ? Code::no_space : Code::write_failed, "cannot write {} at byte {}: {}", name_,
                  offset.bytes + done, errno_text(error));
    }
    done += static_cast<std::size_t>(n);
  }
  return {};
}

Result<> File::truncate(Size size) const {
  if (::ftruncate(fd_, static_cast<off_t>(size.bytes)) != 0)
    return fail(errno == ENOSPC || errno == EFBIG ? Code::no_space : Code::write_failed,
                "cannot set the size of {} to {}: {}", name_, human_size(size.bytes), errno_text(errno));
  return {};
}

Result<> File::sync() const {
  if (::fdatasync(fd_) != 0) return fail(Code::flush_failed, "cannot flush {}: {}", name_, errno_text(errno));
  return {};
}

namespace {

Result<Bytes> read_all(const File& file, const std::filesystem::path& path, Size limit) {
  constexpr std::size_t kPart = 64 * 1024;
  Bytes out;
  while (true) {
    const std::size_t at = out.size();
    out.resize(at + kPart);
    const ssize_t got = ::read(file.fd(), out.data() + at, kPart);  // not pread(2), which pipes do not have
    const int error = errno;
    out.resize(at + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0 && error == EINTR) continue;
    if (got < 0) return fail(Code::usage, "cannot read {}: {}", path.string(), errno_text(error));
    if (out.size() > limit.bytes) return fail(Code::usage, "{} is larger than {}", path.string(), human_size(limit.bytes));
    if (got == 0) return out;
  }
}

}  // namespace

Result<Bytes> read_file(const std::filesystem::path& path, Size limit) {
  STAMPEDE_TRY(const File file, File::open(path, O_RDONLY));
  return read_all(file, path, limit);
}

Result<std::optional<Bytes>> read_file_if_there(const std::filesystem::path& path, Size limit) {
  // One look says both: who asks after a failure whether it is there may be told of one that came after it.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return std::nullopt;
  if (fd < 0) return fail(Code::usage, "cannot open {}: {}", path.string(), errno_text(errno));
  return read_all(File(fd, path.string()), path, limit);
}

Result<> replace_file(const std::filesystem::path& path, ByteView bytes, unsigned mode) {
  // A name of its own for each process, so that two do not write one file.
  std::filesystem::path temporary = path;
  temporary += fmt::format(".new-{}", ::getpid());
  {
    STAMPEDE_TRY(const File file, File::open(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode));
    STAMPEDE_CHECK(file.write_at({}, bytes));
    STAMPEDE_CHECK(file.sync());
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0)
    return fail(Code::write_failed, "cannot rename {} to {}: {}", temporary.string(), path.string(), errno_text(errno));
  return sync_folder(folder_of(path));
}

Result<> rename_to_new(const std::filesystem::path& from, const std::filesystem::path& to) {
  int error = ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0 ? 0 : errno;
  if (error == EINVAL || error == ENOSYS) {  // a file system that cannot do it, such as NFS
    error = ::link(from.c_str(), to.c_str()) == 0 ? 0 : errno;
    if (error == 0) ::unlink(from.c_str());
  }
  if (error == EEXIST) return fail(Code::usage, "{} exists; name a new file", to.string());
  if (error != 0)
    return fail(Code::write_failed, "cannot rename {} to {}: {}", from.string(), to.string(), errno_text(error));
  return sync_folder(folder_of(to));
}

Result<> sync_folder(const std::filesystem::path& folder) {
  STAMPEDE_TRY(const File file, File::open(folder, O_RDONLY | O_DIRECTORY));
  if (::fsync(file.fd()) != 0)
    return fail(Code::flush_failed, "cannot flush folder {}: {}", folder.string(), errno_text(errno));
  return {};
}

Result<> make_folders(const std::filesystem::path& folder) {
  std::filesystem::path path;
  for (const auto& part : folder) {
    path /= part;
    if (::mkdir(path.c_str(), 0700) == 0) {
      // Or a crash takes it with all that is in it; who may not read the parent cannot.
      [[maybe_unused]] const auto flushed = sync_folder(folder_of(path));
    } else if (errno != EEXIST) {
      return fail(code_of_making(errno), "cannot make folder {}: {}", path.string(), errno_text(errno));
    }
  }
  return {};
}

}  // namespace stampede

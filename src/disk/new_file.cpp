#include "src/disk/new_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "src/base/seams.h"

namespace stampede::disk {

namespace fs = std::filesystem;

namespace {

fs::path temporary_name(fs::path path) { return path += fmt::format(".new-{:016x}", system_random().number()); }

}  // namespace

Result<std::unique_ptr<NewFile>> NewFile::make(const fs::path& path, MayReplace may_replace) {
  std::unique_ptr<NewFile> made(new NewFile(path, std::move(may_replace)));
  int fd = ::open(path.parent_path().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
    made->temporary_ = temporary_name(path);
    fd = ::open(made->temporary_.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  }
  if (fd < 0) return std::unexpected(cannot_open_file(path, errno));
  made->file_ = File(fd, path);
  return made;
}

NewFile::~NewFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Result<> NewFile::publish() {
  STAMPEDE_CHECK(file_.sync());
  STAMPEDE_CHECK(give_name());
  temporary_.clear();
  return sync_folder(path_.parent_path());
}

Result<> NewFile::give_name() {
  const bool replace = may_replace_ != nullptr;
  if (replace) STAMPEDE_CHECK(may_replace_());
  if (temporary_.empty()) {
    const fs::path name = replace ? temporary_name(path_) : path_;
    const std::string unnamed = fmt::format("/proc/self/fd/{}", file_.fd());
    if (::linkat(AT_FDCWD, unnamed.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) != 0) {
      if (errno == EEXIST) return fail(Code::usage, "{} has been made by somebody else meanwhile", name.string());
      return fail(Code::write_failed, "cannot name {}: {}", name.string(), errno_text(errno));
    }
    if (!replace) return {};
    temporary_ = name;
  }
  if (!replace) return rename_to_new(temporary_, path_);
  if (::rename(temporary_.c_str(), path_.c_str()) == 0) return {};
  return fail(Code::write_failed, "cannot rename {} to {}: {}", temporary_.string(), path_.string(), errno_text(errno));
}

Error cannot_open_file(const fs::path& path, int error_number) {
  const std::string text = errno_text(error_number);
  switch (error_number) {
    case EROFS:
    case EPERM:  // immutable
      return {Code::read_only, fmt::format("{} is read-only: {}", path.string(), text)};
    case ETXTBSY:
      return {Code::in_use, fmt::format("{} is in use: {}", path.string(), text)};
    case ENOSPC:
    case EDQUOT:
      return {Code::no_space, fmt::format("cannot make {}: {}", path.string(), text)};
    default:
      return {Code::usage, fmt::format("cannot open {} for writing: {}", path.string(), text)};
  }
}

bool set_direct(int fd) { return ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_DIRECT) == 0; }

Result<bool> clone_file(const fs::path& base, const File& file) {
  STAMPEDE_TRY(const FileStamp stamp, stamp_of(base));
  if (!stamp.regular) return fail(Code::usage, "{} is not a regular file", base.string());
  STAMPEDE_TRY(const File from, File::open(base, O_RDONLY));
  if (::ioctl(file.fd(), FICLONE, from.fd()) == 0) return true;
  switch (errno) {
    case ENOSPC:
    case EDQUOT:
      return fail(Code::no_space, "cannot share {} with {}: {}", base.string(), file.name(), errno_text(errno));
    case EIO:
      return fail(Code::write_failed, "cannot share {} with {}: {}", base.string(), file.name(), errno_text(errno));
    default:
      return false;  // another file system, or one that cannot
  }
}

}  // namespace stampede::disk

#include "src/disk/guard_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "src/disk/members.h"
#include "src/disk/patience.h"
#include "src/disk/rules.h"
#include "src/disk/sysfs.h"

namespace stampede::disk {

namespace fs = std::filesystem;

namespace {

constexpr std::uint32_t kImageSector = 512;  // qemu-img makes no file of parts of it

Result<> lock(const File& file) {
  if (with_patience([&] { return ::flock(file.fd(), LOCK_EX | LOCK_NB) == 0; })) return {};
  return fail(Code::in_use, "{} is locked by another program: is it being deployed already?", file.name());
}

Result<> check_not_attached(const fs::path& path, const SystemPaths& paths) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  for (const BlockNode& node : block_nodes(paths)) {
    if (!node.name.starts_with("loop")) continue;
    if (const std::string backing = attribute(node.folder / "loop" / "backing_file"); !backing.empty() && real == backing)
      return fail(Code::in_use, "{} is attached as /dev/{}: detach it, or deploy to that", path.string(), node.name);
  }
  return {};
}

GuardedDisk as_guarded(File file, const fs::path& path, Size size, const Needs& needs) {
  GuardedDisk disk;
  disk.file = std::move(file);
  disk.direct = set_direct(disk.file.fd());
  disk.identity.path = path;
  disk.identity.size = size;
  disk.identity.sector_size = needs.sector_size;
  disk.is_file = true;
  return disk;
}

// That a file is made with.
Result<Size> new_size(const fs::path& path, const Needs& needs) {
  if (needs.file_size.bytes == 0) return needs.size;
  STAMPEDE_CHECK(check_size({.path = path, .size = needs.file_size}, needs));
  return needs.file_size;
}

Result<> check_folder(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path.parent_path(), error)) return {};
  return fail(Code::usage, "there is no folder {} to make {} in", path.parent_path().string(), path.filename().string());
}

Result<GuardedDisk> open_existing(const fs::path& path, const Needs& needs, const SystemPaths& paths) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return std::unexpected(cannot_open_file(path, errno));
  File file(fd, path);
  struct stat status{};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
    return fail(Code::usage, "{} is not a regular file", path.string());
  STAMPEDE_CHECK(lock(file));
  STAMPEDE_CHECK(check_unlocked(fd, path));
  STAMPEDE_CHECK(check_not_attached(path, paths));
  GuardedDisk disk = as_guarded(std::move(file), path, {static_cast<std::uint64_t>(status.st_size)}, needs);
  STAMPEDE_CHECK(check_size(disk.identity, needs));
  if (needs.file_size.bytes != 0 && needs.file_size != disk.identity.size)
    return fail(Code::usage, "{} is there and has {} bytes, not --file-size: leave that out, or name a new file",
                path.string(), disk.identity.size.bytes);
  STAMPEDE_TRY(const Look look, look_at(fd, disk.identity.size));
  disk.identity.content = look.description;
  disk.identity.guid = look.guid;
  STAMPEDE_CHECK(check_content(disk.identity, look, needs));
  disk.interrupted = look.interrupted;
  disk.found = look.found;
  return disk;
}

// The file that goes when the new one is complete: held until then, and looked at again, since not everybody heeds our lock.
struct OldFile {
  File file;
  fs::path path;
  SystemPaths paths;

  Result<> is_unused() const {
    struct stat now{}, then{};
    if (::stat(path.c_str(), &now) != 0 || ::fstat(file.fd(), &then) != 0 || now.st_ino != then.st_ino ||
        now.st_dev != then.st_dev)
      return fail(Code::in_use, "{} has been replaced by somebody else meanwhile", path.string());
    STAMPEDE_CHECK(check_unlocked(file.fd(), path));
    return check_not_attached(path, paths);
  }
};

Result<> check_replaceable(const OldFile& old, const Needs& needs) {
  const auto& [file, path, paths] = old;
  std::error_code error;
  if (fs::is_symlink(path, error)) return fail(Code::usage, "{} is a symbolic link: name what it leads to", path.string());
  STAMPEDE_CHECK(lock(file));
  STAMPEDE_CHECK(old.is_unused());
  Look look{{}, false, "an older file", {}, {}};
  if (!is_image_file(path)) {
    STAMPEDE_TRY(const Size size, file.size());
    STAMPEDE_TRY(look, look_at(file.fd(), size));
  }
  return check_content({.path = path, .guid = look.guid}, look, needs);
}

// Shares what the base has, if there is one and the file system can. Did it?
Result<bool> fill(const File& file, Size size, const Needs& needs) {
  bool cloned = false;
  if (needs.base) {
    STAMPEDE_TRY(cloned, clone_file(*needs.base, file));
  }
  STAMPEDE_CHECK(file.truncate(size));
  return cloned;
}

Result<GuardedDisk> create_raw(const fs::path& path, const File& made, Size size, const Needs& needs) {
  STAMPEDE_TRY(const bool cloned, fill(made, size, needs));
  STAMPEDE_TRY(File file, File::open(fmt::format("/proc/self/fd/{}", made.fd()), O_RDWR));
  STAMPEDE_CHECK(lock(file));  // for when it has a name
  GuardedDisk disk = as_guarded(std::move(file), path, size, needs);
  disk.created = !cloned;
  if (!cloned) return disk;
  STAMPEDE_TRY(Look look, look_at(made.fd(), size));
  disk.found = std::move(look.found);
  return disk;
}

Result<GuardedDisk> create_image(const fs::path& path, const File& made, Size size, const Needs& needs) {
  if (needs.base) return fail(Code::usage, "{} cannot share with a base: only raw files can", path.string());
  size = {round_up(size.bytes, kImageSector)};
  STAMPEDE_TRY(auto image, ImageFile::create(made, size));
  GuardedDisk disk = as_guarded({}, path, size, needs);
  disk.created = true;
  disk.direct = image->direct();
  disk.alignment = kImageSector;
  disk.image = std::move(image);
  return disk;
}

Result<GuardedDisk> create(const fs::path& path, bool exists, const Needs& needs, const SystemPaths& paths) {
  const bool is_image = is_image_file(path);
  if (!needs.create && !exists) return fail(Code::no_match, "there is no file {}", path.string());
  if (!needs.create) return fail(Code::usage, "{} is an image file: it is made anew or left as it is", path.string());
  STAMPEDE_CHECK(check_folder(path));
  STAMPEDE_TRY(const Size size, new_size(path, needs));
  NewFile::MayReplace may_replace;
  if (exists) {
    STAMPEDE_TRY(File file, File::open(path, O_RDONLY));
    const auto old = std::make_shared<const OldFile>(std::move(file), path, paths);
    STAMPEDE_CHECK(check_replaceable(*old, needs));
    may_replace = [old] { return old->is_unused(); };
  }
  STAMPEDE_TRY(auto made, NewFile::make(path, std::move(may_replace)));
  STAMPEDE_TRY(auto disk,
               is_image ? create_image(path, made->file(), size, needs) : create_raw(path, made->file(), size, needs));
  disk.identity.content = exists ? "an older file" : "no file yet";
  disk.unnamed = std::move(made);
  disk.named_last = is_image || needs.base;
  return disk;
}

}  // namespace

Result<GuardedDisk> open_guarded_file(const fs::path& path, const Needs& needs, const SystemPaths& paths) {
  if (!path.is_absolute()) return fail(Code::usage, "file:{} is not an absolute path", path.string());
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) {
    const bool missing = errno == ENOENT || errno == ENOTDIR;
    if (missing) return create(path, false, needs, paths);
    return std::unexpected(cannot_open_file(path, errno));
  }
  // Before it is opened: opening some devices and pipes does something.
  if (S_ISDIR(status.st_mode)) return fail(Code::usage, "{} is a folder: name a file in it", path.string());
  if (S_ISBLK(status.st_mode)) return fail(Code::usage, "{} is a block device: say dev:{}", path.string(), path.string());
  if (!S_ISREG(status.st_mode)) return fail(Code::usage, "{} is not a regular file", path.string());
  return needs.base || is_image_file(path) ? create(path, true, needs, paths) : open_existing(path, needs, paths);
}

}  // namespace stampede::disk

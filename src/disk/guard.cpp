#include "src/disk/guard.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "src/disk/guard_file.h"
#include "src/disk/members.h"
#include "src/disk/patience.h"
#include "src/disk/rules.h"
#include "src/disk/same_medium.h"
#include "src/disk/sysfs.h"

namespace stampede::disk {

namespace {

Result<> known_use(const Disk& disk, const SystemPaths& paths) {
  const auto facts = describe(disk.path, paths);
  return facts ? check_unused(*facts) : Result<>{};
}

// Why the disk cannot be opened: by its uses if they tell, else by errno.
Error cannot_open(const Disk& disk, int error_number, const SystemPaths& paths, std::string_view why = "for writing") {
  if (const auto used = known_use(disk, paths); !used) return used.error();
  const std::string text = errno_text(error_number);
  switch (error_number) {
    case EBUSY:
      return {Code::in_use, fmt::format("{} is held by another program: {}", disk.path, text)};
    case EROFS:
      return {Code::read_only, fmt::format("{} is read-only", disk.path)};
    case ENOENT:
    case ENXIO:
    case ENODEV:
      return {Code::no_match, fmt::format("{} is not there any more: {}", disk.path, text)};
    default:
      return {Code::usage, fmt::format("cannot open {} {}: {}", disk.path, why, text)};
  }
}

// Is the open device the disk that was selected? Returns the facts of the open one.
Result<Disk> check_identity(const File& file, const Disk& selected, const SystemPaths& paths) {
  struct stat status{};
  if (::fstat(file.fd(), &status) != 0)
    return fail(Code::read_failed, "cannot stat {}: {}", selected.path, errno_text(errno));
  const auto changed = [&](std::string_view what) {
    return fail(Code::identity_changed, "{} is not the disk that was selected ({} differs): list the disks again",
                selected.path, what);
  };
  if (!S_ISBLK(status.st_mode)) return changed("the kind of file");
  const std::string number = fmt::format("{}:{}", major(status.st_rdev), minor(status.st_rdev));
  const std::vector<BlockNode> nodes = block_nodes(paths);
  const auto node = std::ranges::find(nodes, number, &BlockNode::number);
  if (node == nodes.end() || node->name != device_name(selected.path, paths)) return changed("the device number");
  STAMPEDE_TRY(Disk open, describe(selected.path, paths));
  STAMPEDE_TRY(const Size size, file.size());
  int sector = 0;
  if (::ioctl(file.fd(), BLKSSZGET, &sector) != 0) return changed("the sector size");
  if (size != selected.size) return changed("the size");
  if (open.serial != selected.serial) return changed("the serial number");
  if (open.wwn != selected.wwn) return changed("the WWN");
  // Linux 5.15 and later: tells two media apart that say nothing of themselves.
  std::uint64_t sequence = 0;
  if (selected.sequence != 0 && ::ioctl(file.fd(), BLKGETDISKSEQ, &sequence) == 0 && sequence != selected.sequence)
    return changed("the kernel's number for the medium");
  open.size = size;
  open.sector_size = static_cast<std::uint32_t>(sector);
  return open;
}

// Opened exclusively, a killed writer's last writes waited for.
int open_held(const Disk& disk, int flags, const SystemPaths& paths, int& error) {
  int fd = -1;
  with_patience([&] {
    fd = ::open(disk.path.c_str(), flags | O_EXCL | O_DIRECT | O_CLOEXEC);
    error = errno;
    return fd >= 0 || error != EBUSY || !known_use(disk, paths);
  });
  return fd;
}

Result<GuardedDisk> open_device(const Disk& selected, const Selector& selector, const Needs& needs,
                                const std::vector<Disk>& disks, const SystemPaths& paths) {
  int error = 0;
  const int fd = open_held(selected, O_RDWR, paths, error);
  if (fd < 0) return std::unexpected(cannot_open(selected, error, paths));
  GuardedDisk disk;
  disk.file = File(fd, selected.path);
  STAMPEDE_TRY(disk.identity, check_identity(disk.file, selected, paths));
  STAMPEDE_CHECK(check_unused(disk.identity));
  STAMPEDE_CHECK(check_unlocked(fd, selected.path));
  STAMPEDE_CHECK(check_removable(disk.identity, selector));
  STAMPEDE_CHECK(check_one_name(disk.identity, disks, paths));
  STAMPEDE_CHECK(check_size(disk.identity, needs));
  STAMPEDE_CHECK(check_sector(disk.identity, needs));
  STAMPEDE_TRY(const Look look, look_at(fd, disk.identity.size));
  STAMPEDE_CHECK(check_members(disk.identity, fd, look, paths));
  disk.identity.content = look.description;
  disk.identity.guid = look.guid;
  STAMPEDE_CHECK(check_content(disk.identity, look, needs));
  disk.alignment = disk.identity.sector_size;
  disk.interrupted = look.interrupted;
  disk.found = look.found;
  return disk;
}

}  // namespace

Result<GuardedDisk> open_guarded(const Selector& selector, const Needs& needs, const std::vector<Disk>& disks,
                                 const SystemPaths& paths) {
  if (const auto file = selector.file()) return open_guarded_file(*file, needs, paths);
  STAMPEDE_TRY(const Disk selected, select(selector, disks, paths));
  return open_device(selected, selector, needs, disks, paths);
}

Result<HeldDisk> hold_for_reading(const Selector& selector, const std::vector<Disk>& disks, const SystemPaths& paths) {
  STAMPEDE_TRY(const Disk selected, select(selector, disks, paths));
  int error = 0;
  const int fd = open_held(selected, O_RDONLY, paths, error);
  if (fd < 0) return std::unexpected(cannot_open(selected, error, paths, "for reading"));
  HeldDisk disk;
  disk.file = File(fd, selected.path);
  STAMPEDE_TRY(disk.identity, check_identity(disk.file, selected, paths));
  Disk used = disk.identity;
  used.read_only = used.own = false;
  STAMPEDE_CHECK(check_unused(used));
  return disk;
}

Result<> check_distinct(const std::vector<Selector>& selectors, const std::vector<Disk>& disks, const SystemPaths& paths) {
  std::map<std::string, std::string> seen;  // by path
  for (const Selector& selector : selectors) {
    std::error_code error;
    std::string path;
    if (const auto file = selector.file()) {
      path = std::filesystem::weakly_canonical(*file, error).string();
    } else {
      STAMPEDE_TRY(const Disk disk, select(selector, disks, paths));
      path = disk.path;
    }
    const auto [first, is_new] = seen.emplace(path, selector.text());
    if (!is_new) return fail(Code::usage, "{} and {} both mean {}: name another disk", first->second, selector.text(), path);
  }
  return {};
}

Result<Disk> look_at_selected(const Selector& selector, const std::vector<Disk>& disks, const SystemPaths& paths) {
  Disk disk;
  if (const auto file = selector.file()) {
    STAMPEDE_TRY(const FileStamp stamp, stamp_of(*file));
    if (!stamp.regular) return fail(Code::usage, "{} is not a regular file", *file);
    if (is_image_file(*file)) return fail(Code::usage, "{} is an image file: only raw ones can be looked into", *file);
    disk.path = *file;
    disk.size = {stamp.size};
  } else {
    STAMPEDE_TRY(disk, select(selector, disks, paths));
  }
  look_into(disk);
  return disk;
}

Verdict verdict_on(const Disk& disk) {
  const auto refused = [](const Error& error) { return Verdict{false, error.code, error.message}; };
  if (const auto unused = check_unused(disk); !unused) return refused(unused.error());
  if (disk.removable) return refused(removable_error(disk.path, "dev:" + disk.path));
  // Held for a moment only: looking takes its time, and a mount or a deployment that starts meanwhile would fail.
  const int held = ::open(disk.path.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC);
  if (held < 0) return refused(cannot_open(disk, errno, {}));
  ::close(held);
  const auto file = File::open(disk.path, O_RDONLY);
  if (!file) return refused(file.error());
  const auto look = look_at(file->fd(), disk.size);
  if (!look) return refused(look.error());
  if (const auto unlocked = check_unlocked(file->fd(), disk.path); !unlocked) return refused(unlocked.error());
  if (const auto apart = check_members(disk, file->fd(), *look, {}); !apart) return refused(apart.error());
  if (const auto content = check_content(disk, *look, {}); !content) return refused(content.error());
  return {true, Code::internal, "may be written"};
}

}  // namespace stampede::disk

#include "src/disk/members.h"

#include <fcntl.h>

#include <algorithm>

#include "src/base/file.h"
#include "src/base/text.h"
#include "src/disk/lvm_label.h"
#include "src/disk/sysfs.h"

namespace stampede::disk {

namespace {

// By the pool's GUID, since pools of several machines may be called alike ("rpool"), and one may be imported by another
// name. OpenZFS tells it in /proc/spl/kstat/zfs/POOL/guid, in decimal as libblkid does; a version that does not tells the
// name.
std::optional<std::string> imported_as(const volume::Found& member, const SystemPaths& paths) {
  std::error_code error;
  for (const auto& pool : std::filesystem::directory_iterator(paths.proc / "spl" / "kstat" / "zfs", error)) {
    if (!pool.is_directory(error)) continue;
    std::string name = pool.path().filename();
    const std::string guid = attribute(pool.path() / "guid");
    if (guid.empty() || member.uuid.empty() ? name == member.label : guid == member.uuid) return name;
  }
  return std::nullopt;
}

bool has_active_volume(const VolumeGroup& group, const SystemPaths& paths) {
  return std::ranges::any_of(block_nodes(paths), [&](const BlockNode& node) {
    return attribute(node.folder / "dm" / "uuid").starts_with("LVM-" + group.id);
  });
}

std::string place_of(const Disk& disk, const volume::Found& found) {
  return found.partition == 0 ? disk.path : fmt::format("partition {} of {}", found.partition, disk.path);
}

Result<> check_group(const Disk& disk, const File& file, const volume::Found& found, const SystemPaths& paths) {
  const auto group = find_volume_group([&](Offset at, MutableBytes out) {
    return at.bytes <= found.length.bytes && out.size() <= found.length.bytes - at.bytes &&
           file.read_at(found.offset + Size{at.bytes}, out).has_value();
  });
  if (!group || !has_active_volume(*group, paths)) return {};
  return fail(Code::in_use, "{} belongs to the LVM volume group {}, which has active volumes: run vgchange -an {} first",
              place_of(disk, found), printable(group->name), printable(group->name));
}

}  // namespace

Result<> check_members(const Disk& disk, int fd, const Look& look, const SystemPaths& paths) {
  // A descriptor of its own, without O_DIRECT and its alignment.
  STAMPEDE_TRY(const File file, File::open(fmt::format("/proc/self/fd/{}", fd), O_RDONLY));
  for (const volume::Found& found : look.found) {
    if (const auto pool = found.type == "zfs_member" ? imported_as(found, paths) : std::nullopt)
      return fail(Code::in_use, "{} belongs to the ZFS pool {}, which is imported: run zpool export {} first",
                  place_of(disk, found), printable(*pool), printable(*pool));
    if (found.type == "LVM2_member") STAMPEDE_CHECK(check_group(disk, file, found, paths));
  }
  return {};
}

Result<> check_unlocked(int fd, const std::string& path) {
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) return {};
  return fail(Code::in_use, "{} is locked by another program, as a virtual machine's disk is: stop that first", path);
}

}  // namespace stampede::disk

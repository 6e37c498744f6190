#include "src/disk/content.h"

#include <fcntl.h>

#include <algorithm>

#include "src/base/file.h"
#include "src/volume/inspect.h"
#include "src/volume/probe.h"

namespace stampede::disk {

namespace {
Result<bool> is_claimed(const File& disk, Size size) {
  STAMPEDE_TRY(const auto signatures, volume::find_all_signatures(disk, size));
  return std::ranges::any_of(
      signatures, [](const volume::Signature& found) { return found.usage == "raid" || found.usage == "crypto"; });
}
}  // namespace

Result<Look> look_at(int fd, Size size) {
  // A descriptor of its own, without O_DIRECT and its alignment.
  STAMPEDE_TRY(const File file, File::open(fmt::format("/proc/self/fd/{}", fd), O_RDONLY));
  Bytes head(std::min<std::uint64_t>(size.bytes, kInProgressAt.bytes + kInProgressSize));
  STAMPEDE_CHECK(file.read_at({}, head));
  Look look;
  look.interrupted = find_in_progress(head);
  // A copy of an interrupted disk onto another one is not that disk, and neither is one that a RAID or an encrypted volume
  // has taken since, whose own mark may lie at its end.
  STAMPEDE_TRY(const bool claimed, look.interrupted ? is_claimed(file, size) : false);
  if (look.interrupted && look.interrupted->disk_size == size && !claimed) {
    look.description = fmt::format("an interrupted deployment of {:.12}, begun {}", to_string(look.interrupted->image),
                                   to_rfc3339(look.interrupted->started));
    return look;
  }
  look.interrupted.reset();
  STAMPEDE_TRY(const volume::Content content, volume::probe_content(fd, size));
  look.blank = content.blank;
  look.description = content.blank ? "blank" : content.description;
  look.guid = content.disk_guid;
  return look;
}

}  // namespace stampede::disk

#include "src/disk/content.h"

#include <fcntl.h>

#include <algorithm>

#include "src/base/file.h"
#include "src/volume/inspect.h"

namespace stampede::disk {

namespace {
// Has a RAID or an encrypted volume taken the whole disk? Its own mark may lie at the end.
bool is_claimed(const volume::Content& content) {
  return std::ranges::any_of(content.found,
                             [](const volume::Found& found) { return found.partition == 0 && found.is_member(); });
}
}  // namespace

Result<Look> look_at(int fd, Size size) {
  // A descriptor of its own, without O_DIRECT and its alignment.
  STAMPEDE_TRY(const File file, File::open(fmt::format("/proc/self/fd/{}", fd), O_RDONLY));
  Bytes head(std::min<std::uint64_t>(size.bytes, kInProgressAt.bytes + kInProgressSize));
  STAMPEDE_CHECK(file.read_at({}, head));
  STAMPEDE_TRY(volume::Content content, volume::probe_content(fd, size));
  Look look;
  look.found = content.found;
  // A copy of an interrupted disk onto another one is not that disk, and neither is one that somebody has taken since.
  const auto interrupted = find_in_progress(head);
  if (interrupted && interrupted->disk_size == size && !is_claimed(content)) {
    look.interrupted = interrupted;
    look.description = fmt::format("an interrupted deployment of {:.12}, begun {}", to_string(interrupted->image),
                                   to_rfc3339(interrupted->started));
    return look;
  }
  look.blank = content.blank;
  look.description = content.blank ? "blank" : content.description;
  look.guid = content.disk_guid;
  return look;
}

}  // namespace stampede::disk

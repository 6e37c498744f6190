#include "src/disk/rules.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

namespace stampede::disk {

namespace {

bool same_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](unsigned char c) { return std::tolower(c); };
  return std::ranges::equal(a, b, {}, lower, lower);
}

bool same_path(std::string_view a, std::string_view b) {
  if (a == b) return true;
  std::error_code error, other;
  return std::filesystem::canonical(a, error) == std::filesystem::canonical(b, other) && !error && !other;
}

std::string ways_to_name(const Disk& disk) {
  if (!disk.guid.empty()) return disk.guid;
  return disk.serial.empty() ? disk.path : disk.serial;
}

}  // namespace

Result<> check_unused(const Disk& disk) {
  const std::string_view own = disk.own ? "; it carries the running system" : "";
  if (!disk.mounts.empty())
    return fail(Code::mounted, "{} is mounted ({}){}: unmount it first", disk.path, fmt::join(disk.mounts, ", "), own);
  if (!disk.swaps.empty())
    return fail(Code::swap, "{} is swap space in use ({}){}: run swapoff first", disk.path, fmt::join(disk.swaps, ", "),
                own);
  if (!disk.holders.empty())
    return fail(Code::in_use, "{} is in use by {}{}: stop that first", disk.path, fmt::join(disk.holders, ", "), own);
  if (disk.read_only) return fail(Code::read_only, "{} is read-only", disk.path);
  if (disk.own) return fail(Code::own_disk, "{} carries the running system: choose another disk", disk.path);
  return {};
}

Error removable_error(std::string_view path, std::string_view selector) {
  return {
      Code::removable,
      fmt::format("{} is removable (a USB stick, a memory card, a disk on USB): if it is meant, say --disk \"{},removable\"",
                  path, selector)};
}

Result<> check_removable(const Disk& disk, const Selector& selector) {
  if (!disk.removable || selector.wants_removable()) return {};
  return std::unexpected(removable_error(disk.path, selector.text()));
}

Result<> check_size(const Disk& disk, const Needs& needs) {
  if (disk.size >= needs.size) return {};
  return fail(Code::too_small, "{} has {} bytes, the image needs {}: choose a larger disk", disk.path, disk.size.bytes,
              needs.size.bytes);
}

Result<> check_sector(const Disk& disk, const Needs& needs) {
  if (disk.sector_size == needs.sector_size) return {};
  return fail(Code::sector_size, "{} has sectors of {} bytes, the image was made for {}: choose another disk or image",
              disk.path, disk.sector_size, needs.sector_size);
}

Result<> check_content(const Disk& disk, const Look& look, const Needs& needs) {
  if (!look.foreign()) return {};
  if (!needs.deployed.empty() && same_ignoring_case(needs.deployed, disk.guid)) return {};
  if (needs.overwrite && overwrite_names(*needs.overwrite, disk)) return {};
  if (needs.overwrite)
    return fail(Code::foreign_content, "{} holds {} and --overwrite names another disk ('{}'): this one is '{}'", disk.path,
                look.description, *needs.overwrite, ways_to_name(disk));
  return fail(Code::foreign_content, "{} holds {}: to destroy that, say --overwrite {}", disk.path, look.description,
              ways_to_name(disk));
}

bool overwrite_names(std::string_view overwrite, const Disk& disk) {
  if (overwrite.empty()) return false;
  for (const std::string_view prefix : {"serial:", "wwn:", "dev:", "file:"}) {
    if (!overwrite.starts_with(prefix)) continue;
    const std::string_view value = overwrite.substr(prefix.size());
    if (value.empty()) return false;
    if (prefix == "serial:") return value == disk.serial;
    if (prefix == "wwn:") return same_wwn(value, disk.wwn);
    return same_path(value, disk.path);
  }
  return overwrite == disk.serial || same_wwn(overwrite, disk.wwn) || same_ignoring_case(overwrite, disk.guid) ||
         same_path(overwrite, disk.path);
}

}  // namespace stampede::disk

#include "src/volume/old_backup.h"

#include <algorithm>
#include <array>

namespace stampede::volume {

namespace {

constexpr std::uint64_t kMostEntries = 1U << 20;  // bytes

struct Header {
  std::uint64_t own, other, last_usable, entries;
  std::uint64_t entries_size;
  std::array<std::byte, 16> disk_guid;
};

Result<std::optional<Header>> header_at(BlockAccess& blocks, std::uint64_t sector, std::uint32_t sector_size) {
  std::array<std::byte, 92> raw{};
  if (sector > blocks.size().bytes / sector_size || blocks.size().bytes - sector * sector_size < raw.size())
    return std::nullopt;
  STAMPEDE_CHECK(blocks.read({sector * sector_size}, raw));
  if (as_text(raw).substr(0, 8) != "EFI PART") return std::nullopt;
  ByteReader in(ByteView(raw).subspan(24));
  Header out{};
  out.own = in.u64();
  out.other = in.u64();
  in.u64();
  out.last_usable = in.u64();
  out.disk_guid = in.array<16>();
  out.entries = in.u64();
  out.entries_size = std::uint64_t{in.u32()};
  out.entries_size *= in.u32();
  return out.own == sector ? std::optional(out) : std::nullopt;
}

}  // namespace

Result<std::optional<OldBackup>> find_old_backup(BlockAccess& blocks, std::uint32_t sector_size) {
  STAMPEDE_TRY(const auto primary, header_at(blocks, 1, sector_size));
  const std::uint64_t last = blocks.size().bytes / sector_size - 1;
  if (!primary || primary->other <= 1 || primary->other >= last) return std::nullopt;
  STAMPEDE_TRY(const auto backup, header_at(blocks, primary->other, sector_size));
  if (!backup || backup->disk_guid != primary->disk_guid) return std::nullopt;
  OldBackup out{.header = {backup->own * sector_size}, .entries = {}, .header_size = {sector_size}, .entries_size = {}};
  const bool between = backup->entries > backup->last_usable && backup->entries < backup->own;
  if (between && backup->entries_size <= kMostEntries) {
    out.entries = {backup->entries * sector_size};
    out.entries_size = std::min(Size{backup->entries_size}, out.header - out.entries);
  }
  return out;
}

}  // namespace stampede::volume

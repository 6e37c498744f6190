#include "src/volume/old_backup.h"

#include <algorithm>
#include <array>

#include "src/volume/gpt_header.h"

namespace stampede::volume {

namespace {

constexpr std::uint64_t kMostEntries = 1U << 20;  // bytes

Result<std::optional<GptHeader>> header_at(BlockAccess& blocks, std::uint64_t sector, std::uint32_t sector_size) {
  std::array<std::byte, kGptHeaderSize> raw{};
  if (sector > blocks.size().bytes / sector_size || blocks.size().bytes - sector * sector_size < raw.size())
    return std::nullopt;
  STAMPEDE_CHECK(blocks.read({sector * sector_size}, raw));
  const auto header = decode_gpt_header(raw);
  return header && header->own == sector ? header : std::nullopt;
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

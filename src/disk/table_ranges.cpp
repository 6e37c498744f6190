#include "src/disk/table_ranges.h"

#include <algorithm>
#include <array>

#include "src/volume/gpt_header.h"

namespace stampede::disk {

namespace {

constexpr std::size_t kRecord = 512;
using Record = std::array<std::byte, kRecord>;

bool inside(std::uint64_t sector_number, std::uint64_t length, Size size, std::uint32_t sector) {
  return sector_number <= size.bytes / sector && length <= size.bytes - sector_number * sector;
}

std::optional<Record> boot_record(const File& disk, std::uint64_t number, Size size, std::uint32_t sector) {
  Record record{};
  if (!inside(number, sector, size, sector) || !disk.read_at({number * sector}, record)) return std::nullopt;
  if (record[510] != std::byte{0x55} || record[511] != std::byte{0xaa}) return std::nullopt;
  return record;
}

// The first sector of the extended partition that an entry of the record tells of; 0 where none does.
std::uint32_t extended_in(const Record& record) {
  for (std::size_t at = 446; at < 510; at += 16) {
    const std::byte type = record[at + 4];
    if (type == std::byte{0x05} || type == std::byte{0x0f} || type == std::byte{0x85})
      return load_le<std::uint32_t>(ByteView(record).subspan(at + 8));
  }
  return 0;
}

std::optional<Range> gpt_entries(const File& disk, Size size, std::uint32_t sector) {
  std::array<std::byte, volume::kGptHeaderSize> raw{};
  if (size.bytes < std::uint64_t{sector} * 2 || !disk.read_at({sector}, raw)) return std::nullopt;
  const auto header = volume::decode_gpt_header(raw);
  if (!header || header->entries_size == 0 || header->entries_size > (1_MiB).bytes) return std::nullopt;
  const std::uint64_t length = round_up(header->entries_size, sector);
  if (!inside(header->entries, length, size, sector)) return std::nullopt;
  return Range{{header->entries * sector}, {length}};
}

}  // namespace

std::vector<Range> table_ranges(const File& disk, Size size, std::uint32_t sector) {
  std::vector<Range> ranges;
  if (const auto entries = gpt_entries(disk, size, sector)) ranges.push_back(*entries);
  const auto first = boot_record(disk, 0, size, sector);
  const std::uint32_t base = first ? extended_in(*first) : 0;
  std::uint64_t at = base;
  for (std::size_t links = 0; at != 0 && links < kMostLinks; ++links) {
    const auto record = boot_record(disk, at, size, sector);
    if (!record) break;
    ranges.push_back({{at * sector}, {sector}});
    const std::uint32_t next = extended_in(*record);
    at = next == 0 ? 0 : std::uint64_t{base} + next;
  }
  return ranges;
}

}  // namespace stampede::disk

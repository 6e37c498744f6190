#include "tests/disk/table_model.h"

#include <algorithm>
#include <array>

namespace stampede::disk {

namespace {

constexpr std::uint64_t kEntries = 128, kEntrySize = 128;

constexpr std::array<std::uint32_t, 256> kCrc = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    table[i] = i;
    for (int bit = 0; bit < 8; ++bit) table[i] = table[i] >> 1 ^ ((table[i] & 1) != 0 ? 0xedb88320U : 0);
  }
  return table;
}();

std::uint32_t crc32(ByteView bytes) {
  std::uint32_t crc = ~0U;
  for (const std::byte b : bytes) crc = crc >> 8 ^ kCrc[(crc ^ std::to_integer<std::uint32_t>(b)) & 255];
  return ~crc;
}

Bytes gpt_header(std::uint64_t here, std::uint64_t other, std::uint64_t entries_at, std::uint64_t sectors, std::byte id,
                 ByteView entries, std::uint32_t sector) {
  const std::uint64_t reserved = 1 + kEntries * kEntrySize / sector;
  ByteWriter out;
  out.raw(as_bytes("EFI PART")).u32(0x10000).u32(92).u32(0).u32(0);
  out.u64(here).u64(other).u64(reserved + 1).u64(sectors - reserved - 1);
  out.raw(Bytes(16, id)).u64(entries_at).u32(kEntries).u32(kEntrySize).u32(crc32(entries));
  Bytes header = out.take();
  store_le(MutableBytes(header).subspan(16), crc32(header));
  return header;
}

void put_at(MutableBytes disk, std::uint64_t at, ByteView bytes) {
  std::ranges::copy(bytes, disk.begin() + static_cast<long>(at));
}

std::optional<Table> read_gpt(ByteView disk, std::uint32_t sector, std::uint64_t lba) {
  if (disk.size() < (lba + 1) * sector) return std::nullopt;
  Bytes header = copy(disk.subspan(lba * sector, 92));
  if (as_text(ByteView(header).first(8)) != "EFI PART") return std::nullopt;
  const auto crc = load_le<std::uint32_t>(ByteView(header).subspan(16));
  store_le(MutableBytes(header).subspan(16), 0U);
  if (crc32(header) != crc || load_le<std::uint64_t>(ByteView(header).subspan(24)) != lba) return std::nullopt;
  const std::uint64_t at = load_le<std::uint64_t>(ByteView(header).subspan(72)) * sector;
  const ByteView entries = disk.subspan(at, kEntries * kEntrySize);
  if (crc32(entries) != load_le<std::uint32_t>(ByteView(header).subspan(88))) return std::nullopt;
  Table table{header[56], {}};
  for (std::size_t i = 0; i < kEntries; ++i) {
    const ByteView entry = entries.subspan(i * kEntrySize, kEntrySize);
    if (all_zero(entry)) continue;
    const auto first = load_le<std::uint64_t>(entry.subspan(32)), last = load_le<std::uint64_t>(entry.subspan(40));
    table.partitions.push_back({{first * sector}, {(last - first + 1) * sector}});
  }
  return table;
}

bool has_boot_signature(ByteView disk) {
  return disk.size() >= 512 && disk[510] == std::byte{0x55} && disk[511] == std::byte{0xaa};
}

std::optional<Table> read_mbr(ByteView disk) {
  if (!has_boot_signature(disk)) return std::nullopt;
  Table table{disk[440], {}};
  for (std::size_t at = 446; at < 510; at += 16) {
    const auto first = load_le<std::uint32_t>(disk.subspan(at + 8)), count = load_le<std::uint32_t>(disk.subspan(at + 12));
    if (disk[at + 4] != std::byte{0} && disk[at + 4] != std::byte{0xee})
      table.partitions.push_back({{first * 512ULL}, {count * 512ULL}});
  }
  if (table.partitions.empty()) return std::nullopt;
  return table;
}

bool has_protective_mbr(ByteView disk) {
  if (!has_boot_signature(disk)) return false;
  for (std::size_t at = 446; at < 510; at += 16)
    if (disk[at + 4] == std::byte{0xee} && load_le<std::uint32_t>(disk.subspan(at + 8)) == 1) return true;
  return false;
}

}  // namespace

void write_gpt(MutableBytes disk, Size size, std::uint32_t sector, const Table& table) {
  Bytes mbr(sector);
  mbr[450] = std::byte{0xee};
  store_le(MutableBytes(mbr).subspan(454), 1U);
  store_le(MutableBytes(mbr).subspan(458), static_cast<std::uint32_t>(size.bytes / sector - 1));
  mbr[510] = std::byte{0x55};
  mbr[511] = std::byte{0xaa};
  put_at(disk, 0, mbr);
  ByteWriter out;
  for (std::size_t i = 0; i < table.partitions.size(); ++i) {
    const Range& range = table.partitions[i];
    out.raw(Bytes(16, std::byte{0x0f})).raw(Bytes(16, static_cast<std::byte>(i + 1)));
    out.u64(range.at.bytes / sector).u64(range.end().bytes / sector - 1).raw(Bytes(80));
  }
  Bytes entries = out.take();
  entries.resize(kEntries * kEntrySize);
  const std::uint64_t sectors = size.bytes / sector, backup = sectors - 1, backup_entries = backup - entries.size() / sector;
  put_at(disk, sector, Bytes(sector));
  put_at(disk, sector, gpt_header(1, backup, 2, sectors, table.id, entries, sector));
  put_at(disk, 2UL * sector, entries);
  put_at(disk, backup * sector, Bytes(sector));
  put_at(disk, backup * sector, gpt_header(backup, 1, backup_entries, sectors, table.id, entries, sector));
  put_at(disk, backup_entries * sector, entries);
}

void write_mbr(MutableBytes disk, const Table& table) {
  Bytes mbr(512);
  mbr[440] = table.id;
  for (std::size_t i = 0; i < table.partitions.size(); ++i) {
    mbr[446 + i * 16 + 4] = std::byte{0x83};
    store_le(MutableBytes(mbr).subspan(446 + i * 16 + 8), static_cast<std::uint32_t>(table.partitions[i].at.bytes / 512));
    store_le(MutableBytes(mbr).subspan(446 + i * 16 + 12),
             static_cast<std::uint32_t>(table.partitions[i].length.bytes / 512));
  }
  mbr[510] = std::byte{0x55};
  mbr[511] = std::byte{0xaa};
  put_at(disk, 0, mbr);
}

Seen read_tables(ByteView disk, std::uint32_t sector) {
  const auto primary = read_gpt(disk, sector, 1);
  const auto backup = read_gpt(disk, sector, disk.size() / sector - 1);
  const auto mbr = read_mbr(disk);
  Seen seen;
  // Without "gpt" on its command line the kernel asks for the protective MBR and the primary.
  seen.kernel = has_protective_mbr(disk) ? primary : mbr;
  seen.ovmf = has_protective_mbr(disk) ? (primary ? primary : backup) : mbr;
  seen.sgdisk = primary ? primary : backup ? backup : mbr;
  return seen;
}

}  // namespace stampede::disk

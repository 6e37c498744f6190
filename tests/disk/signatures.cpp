#include "tests/disk/signatures.h"

#include <algorithm>

namespace stampede::disk {

namespace {

void put_text(MutableBytes out, std::size_t at, std::string_view text) {
  std::ranges::copy(as_bytes(text), out.subspan(at).begin());
}
void put_be32(MutableBytes out, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) out[at + i] = static_cast<std::byte>(value >> (24 - 8 * i));
}

std::size_t padded(std::size_t size) { return (size + 3) / 4 * 4; }

// The head of an XDR pair of an nvlist, of a name and one value of that type and size; gives where the value goes.
std::size_t put_head(MutableBytes out, std::size_t at, std::string_view name, std::uint32_t type, std::size_t value_size) {
  const std::size_t size = 12 + padded(name.size()) + 8 + padded(value_size);
  put_be32(out, at, static_cast<std::uint32_t>(size));
  put_be32(out, at + 4, static_cast<std::uint32_t>(size));
  put_be32(out, at + 8, static_cast<std::uint32_t>(name.size()));
  put_text(out, at + 12, name);
  const std::size_t value_at = at + 12 + padded(name.size());
  put_be32(out, value_at, type);
  put_be32(out, value_at + 4, 1);
  return value_at + 8;
}

// Both give where the pair ends.
std::size_t put_pair(MutableBytes out, std::size_t at, std::string_view name, std::string_view value) {
  const std::size_t value_at = put_head(out, at, name, 9, 4 + value.size());
  put_be32(out, value_at, static_cast<std::uint32_t>(value.size()));
  put_text(out, value_at + 4, value);
  return value_at + 4 + padded(value.size());
}
std::size_t put_pair(MutableBytes out, std::size_t at, std::string_view name, std::uint64_t value) {
  const std::size_t value_at = put_head(out, at, name, 8, 8);
  put_be32(out, value_at, static_cast<std::uint32_t>(value >> 32));
  put_be32(out, value_at + 4, static_cast<std::uint32_t>(value));
  return value_at + 8;
}

// CRC-32 from a start of LVM's own, without the last inversion.
std::uint32_t lvm_checksum(ByteView bytes) {
  std::uint32_t sum = 0xf597a6cf;
  for (const std::byte byte : bytes) {
    sum ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) sum = (sum >> 1) ^ ((sum & 1) != 0 ? 0xEDB88320 : 0);
  }
  return sum;
}

constexpr std::size_t kZfsLabel = 256 * 1024;

void put_zfs_label(MutableBytes out, const std::string& pool, std::uint64_t guid) {
  constexpr std::size_t kList = 16 * 1024, kUberblocks = 128 * 1024, kCount = 8;
  const std::size_t end = put_pair(out, kList + 12, "name", pool);
  if (guid != 0) put_pair(out, end, "pool_guid", guid);
  for (std::size_t i = 0; i < kCount; ++i) {
    const MutableBytes block = out.subspan(kUberblocks + i * 1024);
    store_le<std::uint64_t>(block, 0x00bab10c);
    store_le<std::uint64_t>(block.subspan(8), 5000);  // version
  }
}

}  // namespace

void write_lvm(MutableBytes disk, const std::string& group, const std::string& group_id) {
  constexpr std::size_t kLabel = 512, kArea = 4096;
  const MutableBytes label = disk.subspan(kLabel, 512);
  put_text(label, 0, "LABELONE");
  store_le<std::uint64_t>(label.subspan(8), 1);  // its own sector
  store_le<std::uint32_t>(label.subspan(20), 32);
  put_text(label, 24, "LVM2 001");
  put_text(label, 32, "0123456789abcdefghijklmnopqrstuv");
  store_le<std::uint64_t>(label.subspan(64), disk.size());
  store_le<std::uint64_t>(label.subspan(72), 1 << 20);  // one data area
  store_le<std::uint64_t>(label.subspan(104), kArea);
  store_le<std::uint64_t>(label.subspan(112), 1 << 16);
  store_le<std::uint32_t>(label.subspan(16), lvm_checksum(label.subspan(20)));
  const MutableBytes area = disk.subspan(kArea);
  put_text(area, 4, " LVM2 x[5A%r0N*>");
  store_le<std::uint64_t>(area.subspan(40), 1024);
  store_le<std::uint64_t>(area.subspan(48), 512);
  std::string id = group_id;
  for (const std::size_t at : {6U, 11U, 16U, 21U, 26U, 31U}) id.insert(at, "-");
  put_text(area, 1024, group + " {\nid = \"" + id + "\"\nseqno = 2\n");
}

void write_zfs(MutableBytes disk, const std::string& pool, std::uint64_t guid) {
  const std::size_t end = disk.size() / kZfsLabel * kZfsLabel;
  for (const std::size_t at : {std::size_t{0}, kZfsLabel, end - 2 * kZfsLabel, end - kZfsLabel})
    put_zfs_label(disk.subspan(at, kZfsLabel), pool, guid);
}

void write_md_0_90(MutableBytes disk) {
  const std::size_t at = disk.size() / 65536 * 65536 - 65536;
  const MutableBytes block = disk.subspan(at);
  store_le<std::uint32_t>(block, 0xa92b4efc);
  store_le<std::uint32_t>(block.subspan(4), 0);
  store_le<std::uint32_t>(block.subspan(8), 90);
  store_le<std::uint32_t>(block.subspan(20), 0x5a5a5a5a);
}

}  // namespace stampede::disk

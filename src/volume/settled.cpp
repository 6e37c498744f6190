#include "src/volume/settled.h"

#include <algorithm>
#include <array>
#include <bit>
#include <optional>

namespace stampede::volume {

namespace {

constexpr Size kMostLog = 4_GiB, kStep = 1_MiB, kSector{512};

template <class T>
T big(ByteView bytes, std::size_t at) {
  return std::byteswap(load_le<T>(bytes.subspan(at)));
}
template <class T>
T little(ByteView bytes, std::size_t at) {
  return load_le<T>(bytes.subspan(at));
}

std::unexpected<Error> damaged(std::string_view what) { return fail(Code::cannot_customise, "its {} is not sound", what); }

// A range of the file system; nothing beyond it is looked at.
struct Part {
  BlockAccess& blocks;
  Offset at;
  Size length;
  Result<Bytes> read(Offset from, Size size) const {
    if (from.bytes > length.bytes || size.bytes > length.bytes - from.bytes) return damaged("structure");
    Bytes out(size.bytes);
    STAMPEDE_CHECK(blocks.read(at + Size{from.bytes}, out));
    return out;
  }
};

struct LogRecord {
  std::uint64_t lsn = 0;
  Offset at;
  std::uint32_t operations = 0, headers = 1;
};

void take_headers(ByteView bytes, Offset at, std::optional<LogRecord>& newest) {
  for (std::size_t i = 0; i + kSector.bytes <= bytes.size(); i += kSector.bytes) {
    const ByteView head = bytes.subspan(i, kSector.bytes);
    if (big<std::uint32_t>(head, 0) != 0xfeedbabe) continue;
    const auto lsn = big<std::uint64_t>(head, 16);
    if (newest && lsn < newest->lsn) continue;
    const std::uint32_t buffer = big<std::uint32_t>(head, 8) >= 2 ? big<std::uint32_t>(head, 320) : 0;
    newest = {lsn, at + Size{i}, big<std::uint32_t>(head, 40), std::clamp((buffer + 32767) / 32768, 1U, 64U)};
  }
}

Result<> check_xfs(const Part& part) {
  STAMPEDE_TRY(const Bytes super, part.read({}, kSector));
  const std::uint64_t block = big<std::uint32_t>(super, 4), start = big<std::uint64_t>(super, 48);
  const std::uint64_t group = big<std::uint32_t>(super, 84), bits = little<std::uint8_t>(super, 124);
  const Size log = Size{block} * big<std::uint32_t>(super, 96);
  if (as_text(ByteView(super).first(4)) != "XFSB" || block < 512 || block > 65536 || bits > 32) return damaged("superblock");
  if (start == 0) return fail(Code::cannot_customise, "its log is on another disk");
  if (log > kMostLog || (start >> bits) > part.length.bytes / block) return damaged("superblock");
  const Offset begin{((start >> bits) * group + (start & ((std::uint64_t{1} << bits) - 1))) * block};
  std::optional<LogRecord> newest;
  for (Size done; done < log; done += kStep) {
    STAMPEDE_TRY(const Bytes bytes, part.read(begin + done, std::min(kStep, log - done)));
    take_headers(bytes, begin + done, newest);
  }
  if (!newest) return damaged("log");
  const std::uint64_t operation = (newest->at - begin).bytes + kSector.bytes * newest->headers;
  STAMPEDE_TRY(const Bytes first, part.read(begin + Size{operation % log.bytes}, kSector));
  const bool unmounted = newest->operations == 1 && (little<std::uint8_t>(first, 9) & 0x20) != 0;
  if (!unmounted) return fail(Code::cannot_customise, "its log holds what is to be done yet: mount and unmount it");
  return {};
}

Result<> check_btrfs(const Part& part) {
  STAMPEDE_TRY(const Bytes super, part.read({(64_KiB).bytes}, 4_KiB));
  if (as_text(ByteView(super).subspan(64, 8)) != "_BHRfS_M") return damaged("superblock");
  if (little<std::uint64_t>(super, 96) != 0)
    return fail(Code::cannot_customise, "its log holds what is to be done yet: mount and unmount it");
  if (little<std::uint64_t>(super, 136) != 1) return fail(Code::cannot_customise, "it is on several disks");
  return {};
}

// Where the first run of an attribute's data begins, in clusters.
std::optional<std::uint64_t> first_cluster(ByteView record) {
  std::size_t at = little<std::uint16_t>(record, 20);
  while (at + 64 <= record.size()) {
    const ByteView attribute = record.subspan(at);
    const auto type = little<std::uint32_t>(attribute, 0), length = little<std::uint32_t>(attribute, 4);
    if (type == 0xffffffff || length < 24 || length > attribute.size()) return std::nullopt;
    if (type == 0x80 && little<std::uint8_t>(attribute, 8) == 1) {
      const std::size_t runs = little<std::uint16_t>(attribute, 32);
      if (runs >= length) return std::nullopt;
      const auto sizes = little<std::uint8_t>(attribute, runs);
      const std::size_t skip = sizes & 15U, bytes = sizes >> 4U;
      if (bytes == 0 || bytes > 8 || skip > 8 || runs + 1 + skip + bytes > length) return std::nullopt;
      std::uint64_t cluster = 0;
      for (std::size_t i = bytes; i > 0; --i) cluster = cluster << 8U | little<std::uint8_t>(attribute, runs + skip + i);
      return cluster;
    }
    at += length;
  }
  return std::nullopt;
}

Result<> check_log_file(const Part& part, Offset log) {
  STAMPEDE_TRY(const Bytes first, part.read(log, 4_KiB));
  if (std::ranges::all_of(first, [](std::byte b) { return b == std::byte{0xff}; })) return {};
  std::optional<std::uint64_t> newest;
  bool clean = false;
  Size page = 4_KiB;
  for (std::uint64_t i = 0; i < 2; ++i) {
    STAMPEDE_TRY(const Bytes bytes, part.read(log + page * i, 4_KiB));
    if (as_text(ByteView(bytes).first(4)) != "RSTR") continue;
    if (i == 0) page = {std::clamp(little<std::uint32_t>(bytes, 16), 512U, 65536U)};
    const std::size_t area = little<std::uint16_t>(bytes, 24);
    if (area + 16 > 510) return damaged("log");  // beyond what the sector's end replaces
    const ByteView restart = ByteView(bytes).subspan(area);
    const auto lsn = little<std::uint64_t>(restart, 0);
    if (newest && lsn < *newest) continue;
    newest = lsn;
    clean = little<std::uint16_t>(restart, 12) == 0xffff || (little<std::uint16_t>(restart, 14) & 2U) != 0;
  }
  if (!newest || !clean) return fail(Code::cannot_customise, "its log holds what is to be done yet: shut its system down");
  return {};
}

Result<> check_ntfs(const Part& part) {
  STAMPEDE_TRY(const Bytes boot, part.read({}, kSector));
  const std::uint64_t cluster = std::uint64_t{little<std::uint16_t>(boot, 11)} * little<std::uint8_t>(boot, 13);
  const auto size = static_cast<std::int8_t>(little<std::uint8_t>(boot, 64));
  const std::uint64_t table = little<std::uint64_t>(boot, 48);
  if (cluster < 512 || cluster > 65536 || size == 0 || size < -16 || table > part.length.bytes / cluster)
    return damaged("boot sector");
  const Size record{size > 0 ? static_cast<std::uint64_t>(size) * cluster : std::uint64_t{1} << -size};
  if (record < 512_B || record > 64_KiB) return damaged("boot sector");
  STAMPEDE_TRY(const Bytes bytes, part.read(Offset{table * cluster} + record * 2, record));
  const auto log = as_text(ByteView(bytes).first(4)) == "FILE" ? first_cluster(ByteView(bytes).first(510)) : std::nullopt;
  if (!log || *log > part.length.bytes / cluster) return damaged("file table");
  return check_log_file(part, {*log * cluster});
}

}  // namespace

Result<> check_settled(BlockAccess& blocks, Offset at, Size length, std::string_view filesystem) {
  const Part part{blocks, at, length};
  if (filesystem == "xfs") return check_xfs(part);
  if (filesystem == "btrfs") return check_btrfs(part);
  if (filesystem == "ntfs") return check_ntfs(part);
  return {};
}

}  // namespace stampede::volume

#include "tests/powerloss/write_log.h"

#include <array>

namespace stampede::powerloss {

namespace {

constexpr std::uint64_t kMagic = 0x6a736677736872;
constexpr std::uint64_t kFlush = 1, kDiscard = 4, kMark = 8;
constexpr std::size_t kHead = 32;

struct Entry {
  std::uint64_t sector = 0, sectors = 0, flags = 0;
};

Result<ByteReader> read_head(const File& log, Offset at, std::array<std::byte, kHead>& head) {
  if (!log.read_at(at, head)) return fail(Code::usage, "{} ends before its entry at byte {}", log.name(), at.bytes);
  return ByteReader(head);
}

}  // namespace

Result<std::vector<Epoch>> read_write_log(const File& log) {
  std::array<std::byte, kHead> head{};
  STAMPEDE_TRY(auto in, read_head(log, {}, head));
  const std::uint64_t magic = in.u64(), version = in.u64(), entries = in.u64();
  const std::uint32_t sector = in.u32();
  if (magic != kMagic || version != 1) return fail(Code::usage, "{} is no log of writes, version 1", log.name());
  if (sector < 512 || sector > 65536) return fail(Code::usage, "{} has sectors of {} bytes", log.name(), sector);
  STAMPEDE_TRY(const Size size, log.size());

  std::vector<Epoch> epochs(1);
  Offset at{sector};
  for (std::uint64_t i = 0; i < entries; ++i) {
    STAMPEDE_TRY(in, read_head(log, at, head));
    Entry entry;
    entry.sector = in.u64();
    entry.sectors = in.u64();
    entry.flags = in.u64();
    at += Size{sector};
    if (entry.flags & kFlush && !epochs.back().empty()) epochs.emplace_back();
    if (entry.sectors == 0 || entry.flags & kMark) continue;
    constexpr std::uint64_t kMost = 1ULL << 44;
    if (entry.sector > kMost || entry.sectors > kMost)
      return fail(Code::usage, "{} has {} sectors at {} in entry {}", log.name(), entry.sectors, entry.sector, i);
    const bool discard = entry.flags & kDiscard;
    const Write write{{entry.sector * sector}, {entry.sectors * sector}, at, discard};
    if (!discard) at += write.length;
    if (at.bytes > size.bytes) return fail(Code::usage, "{} ends within the data of entry {}", log.name(), i);
    epochs.back().push_back(write);
  }
  if (epochs.back().empty()) epochs.pop_back();
  return epochs;
}

}  // namespace stampede::powerloss

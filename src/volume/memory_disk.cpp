#include "src/volume/memory_disk.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

namespace stampede::volume {

namespace {
constexpr std::size_t kGrain = 512;
}

Result<MemoryDisk> MemoryDisk::make(BlockAccess& blocks) {
  const int fd = ::memfd_create("stampede-disk", MFD_CLOEXEC);
  if (fd < 0) return fail(Code::internal, "cannot make a file in memory: {}", errno_text(errno));
  File file(fd, "a copy of the partition table in memory");
  STAMPEDE_CHECK(file.truncate(blocks.size()));
  return MemoryDisk(blocks, std::move(file));
}

Result<> MemoryDisk::copy(Offset at, Size length) {
  const std::uint64_t end = std::min(at.bytes + length.bytes, blocks_->size().bytes);
  if (at.bytes >= end) return {};
  Bytes bytes(end - at.bytes);
  STAMPEDE_CHECK(blocks_->read(at, bytes));
  STAMPEDE_CHECK(file_.write_at(at, bytes));
  parts_.push_back({at, std::move(bytes)});
  return {};
}

Result<> MemoryDisk::zero(Offset at, Size length) {
  STAMPEDE_CHECK(blocks_->write(at, Bytes(length.bytes)));
  for (Part& part : parts_) {
    const Offset from = std::max(at, part.at);
    const Offset to = std::min(at + length, part.at + Size{part.before.size()});
    if (from >= to) continue;
    const auto zeros = MutableBytes(part.before).subspan((from - part.at).bytes, (to - from).bytes);
    std::ranges::fill(zeros, std::byte{0});
    STAMPEDE_CHECK(file_.write_at(from, zeros));
  }
  return {};
}

Result<> MemoryDisk::write_back() {
  for (Part& part : parts_) {
    Bytes now(part.before.size());
    STAMPEDE_CHECK(file_.read_at(part.at, now));
    for (std::size_t at = 0; at < now.size(); at += kGrain) {
      const auto sector = ByteView(now).subspan(at, std::min(kGrain, now.size() - at));
      if (std::ranges::equal(sector, ByteView(part.before).subspan(at, sector.size()))) continue;
      STAMPEDE_CHECK(blocks_->write(part.at + Size{at}, sector));
    }
    part.before = std::move(now);
  }
  return {};
}

}  // namespace stampede::volume

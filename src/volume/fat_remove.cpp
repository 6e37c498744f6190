#include <algorithm>
#include <array>

#include "src/volume/fat.h"

namespace stampede::volume {

namespace {
constexpr Size kMostRemoved = 16_MiB;
constexpr std::byte kFree{0xe5};
constexpr std::uint32_t kInfoMark = 0x4161'5252;
constexpr Size kFreeCount{488};  // in the sector of information
}  // namespace

Result<> Fat::remove(const Entry& file) {
  if (file.size > kMostRemoved) return fail(Code::cannot_customise, "{} is larger than is removed", file.path);
  STAMPEDE_CHECK(overwrite(file, Bytes(file.size.bytes)));
  for (const Offset slot : file.slots) STAMPEDE_CHECK(blocks_->write(slot, {&kFree, 1}));
  STAMPEDE_CHECK(free_chain(file.cluster));
  return forget_free_count();
}

Result<> Fat::free_chain(std::uint32_t cluster) {
  std::size_t first = table_.size(), end = 0;
  while (cluster >= 2 && cluster < clusters_ + 2) {  // ends: what is free already leads to 0
    const std::uint32_t following = next(cluster);
    const std::size_t at = std::size_t{cluster} * bits_ / 8;
    first = std::min(first, at);
    end = std::max(end, at + (bits_ == 32 ? 4 : 2));
    set_free(cluster);
    cluster = following;
  }
  if (first >= end) return {};
  for (unsigned copy = 0; copy < copies_; ++copy) {
    const Offset at = table_at_ + Size{copy * table_.size() + first};
    STAMPEDE_CHECK(blocks_->write(at, ByteView(table_).subspan(first, end - first)));
  }
  return {};
}

void Fat::set_free(std::uint32_t cluster) {
  const MutableBytes at = MutableBytes(table_).subspan(std::size_t{cluster} * bits_ / 8);
  if (bits_ == 12) {
    const std::uint16_t kept = load_le<std::uint16_t>(at) & (cluster % 2 == 0 ? 0xf000 : 0x000f);
    store_le<std::uint16_t>(at, kept);
  } else if (bits_ == 16) {
    store_le<std::uint16_t>(at, 0);
  } else {
    store_le<std::uint32_t>(at, load_le<std::uint32_t>(at) & 0xf000'0000);  // the upper bits are reserved
  }
}

// FAT32's count of free clusters is but a hint; all ones mean that it is not known.
Result<> Fat::forget_free_count() {
  if (!info_) return {};
  std::array<std::byte, 4> word{};
  STAMPEDE_CHECK(blocks_->read(*info_, word));
  if (load_le<std::uint32_t>(word) != kInfoMark) return {};
  word.fill(std::byte{0xff});
  return blocks_->write(*info_ + kFreeCount, word);
}

}  // namespace stampede::volume

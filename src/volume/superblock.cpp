#include "src/volume/superblock.h"

#include <array>

namespace stampede::volume {

namespace {

constexpr std::uint16_t kMagic = 0xef53;
constexpr std::uint16_t kStateClean = 1, kStateErrors = 2;
constexpr std::uint32_t kMaxLogBlockSize = 6;  // 64 KiB

constexpr std::uint32_t kNeedsRecovery = 0x4, kJournalDevice = 0x8, kMmp = 0x100;
constexpr std::uint32_t k64Bit = 0x80;
constexpr std::uint32_t kQuota = 0x100, kReplica = 0x800, kReadOnly = 0x1000, kProject = 0x2000, kSharedBlocks = 0x4000,
                        kOrphansPresent = 0x10000;

}  // namespace

std::string_view Superblock::unclean() const {
  if ((incompat & kNeedsRecovery) != 0) return "its journal needs recovery";
  if ((state & kStateErrors) != 0) return "it has recorded errors";
  if ((state & kStateClean) == 0) return "it was not unmounted";
  if (first_orphan != 0 || (ro_compat & kOrphansPresent) != 0) return "it has orphan files to clean up";
  return {};
}

std::string_view Superblock::not_editable() const {
  if ((incompat & kMmp) != 0) return "mmp";
  if ((ro_compat & (kQuota | kProject)) != 0) return "quota";
  if ((ro_compat & kSharedBlocks) != 0) return "shared_blocks";
  if ((ro_compat & kReadOnly) != 0) return "read-only";
  if ((ro_compat & kReplica) != 0) return "replica";
  return {};
}

Result<Superblock> read_superblock(BlockAccess& blocks, Offset offset) {
  constexpr Size kAt{1024}, kLength{1024};
  if (offset.bytes > blocks.size().bytes || blocks.size().bytes - offset.bytes < (kAt + kLength).bytes)
    return fail(Code::cannot_customise, "no ext4 file system at byte {}: the disk ends before it", offset.bytes);
  std::array<std::byte, kLength.bytes> raw;
  STAMPEDE_CHECK(blocks.read(offset + kAt, raw));
  const auto u16 = [&](std::size_t at) { return load_le<std::uint16_t>(ByteView(raw).subspan(at)); };
  const auto u32 = [&](std::size_t at) { return load_le<std::uint32_t>(ByteView(raw).subspan(at)); };

  if (u16(0x38) != kMagic) return fail(Code::cannot_customise, "no ext4 file system at byte {}", offset.bytes);
  if (u32(0x18) > kMaxLogBlockSize)
    return fail(Code::cannot_customise, "the ext4 file system at byte {} is damaged: impossible block size", offset.bytes);
  Superblock super{.block_size = 1024U << u32(0x18),
                   .blocks = u32(0x04),
                   .state = u16(0x3a),
                   .incompat = u32(0x60),
                   .ro_compat = u32(0x64),
                   .first_orphan = u32(0xe8)};
  if ((super.incompat & k64Bit) != 0) super.blocks |= std::uint64_t{u32(0x150)} << 32;
  if ((super.incompat & kJournalDevice) != 0)
    return fail(Code::cannot_customise, "at byte {} is an external ext4 journal, not a file system", offset.bytes);
  if (super.blocks > (blocks.size().bytes - offset.bytes) / super.block_size)
    return fail(Code::cannot_customise, "the ext4 file system at byte {} is larger than the disk that holds it",
                offset.bytes);
  return super;
}

}  // namespace stampede::volume

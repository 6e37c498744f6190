// Removing files so that nothing is left of what they held.
#include <algorithm>
#include <limits>

#include "src/volume/file_system.h"

namespace stampede::volume {

namespace {

constexpr Size kMostErased = 256_MiB;  // of one file
constexpr std::size_t kDeepest = 32, kMostErasedFiles = 100'000;

struct Collected {
  std::vector<blk64_t> blocks;
  std::size_t most = 0;
};

}  // namespace

// Content within the inode, and what lies beside it, goes with empty().
Result<> FileSystem::zero_content(ext2_ino_t file) {
  STAMPEDE_TRY(ext2_inode_large node, inode(file));
  STAMPEDE_CHECK(may_replace(node));
  if ((node.i_flags & EXT4_INLINE_DATA_FL) != 0) return checked(empty(file));
  if (ext2fs_inode_has_valid_blocks2(fs_, plain(node)) == 0) return {};
  const auto collect = [](ext2_filsys, blk64_t* block, e2_blkcnt_t, blk64_t, int, void* arg) {
    auto& to = *static_cast<Collected*>(arg);
    to.blocks.push_back(*block);
    return to.blocks.size() > to.most ? BLOCK_ABORT : 0;
  };
  Collected found{{}, kMostErased.bytes / fs_->blocksize};
  const errcode_t error =
      ext2fs_block_iterate3(fs_, file, BLOCK_FLAG_READ_ONLY | BLOCK_FLAG_DATA_ONLY, nullptr, collect, &found);
  if (error != 0 || channel_.read_error) return checked(failed(error, Code::read_failed, "cannot find what the file holds"));
  if (found.blocks.size() > found.most)
    return fail(Code::cannot_customise, "it holds more than {}; remove it from the template", human_size(kMostErased.bytes));
  const Bytes zeros(fs_->blocksize);
  for (const blk64_t block : found.blocks) {
    if (block >= ext2fs_blocks_count(fs_->super) || ext2fs_test_block_bitmap2(fs_->block_map, block) == 0)
      return checked(fail(Code::cannot_customise, "the file system is damaged: block {} is not in use; run e2fsck", block));
    if (const errcode_t failure = io_channel_write_blk64(fs_->io, block, 1, zeros.data()); failure != 0)
      return checked(failed(failure, Code::write_failed, "cannot overwrite what the file holds"));
  }
  return {};
}

Result<> FileSystem::erase(ext2_ino_t parent, const std::string& name, ext2_ino_t number) {
  std::size_t count = 0;
  return erase_entry(parent, name, number, 0, count);
}

Result<> FileSystem::clear(ext2_ino_t folder) {
  std::size_t count = 0;
  return clear_folder(folder, 0, count);
}

Result<> FileSystem::erase_entry(ext2_ino_t parent, const std::string& name, ext2_ino_t number, std::size_t depth,
                                 std::size_t& count) {
  if (++count > kMostErasedFiles || depth > kDeepest)
    return fail(Code::cannot_customise, "there is more in it than is removed; remove it from the template");
  STAMPEDE_TRY(const ext2_inode_large node, inode(number));
  if (LINUX_S_ISDIR(node.i_mode)) {
    STAMPEDE_CHECK(clear_folder(number, depth + 1, count));
    return remove_folder(parent, name, number);
  }
  // What has another name is somebody else's too.
  if (LINUX_S_ISREG(node.i_mode) && node.i_links_count == 1) STAMPEDE_CHECK(zero_content(number));
  return unlink(parent, name, number);
}

Result<> FileSystem::clear_folder(ext2_ino_t folder, std::size_t depth, std::size_t& count) {
  STAMPEDE_TRY(const auto all, names(folder));
  for (const std::string& name : all) {
    STAMPEDE_TRY(const ext2_ino_t number, entry(folder, name));
    if (number != 0) STAMPEDE_CHECK(erase_entry(folder, name, number, depth, count));
  }
  return {};
}

// An empty one.
Result<> FileSystem::remove_folder(ext2_ino_t parent, const std::string& name, ext2_ino_t number) {
  STAMPEDE_CHECK(may_change(parent));
  if (number < EXT2_FIRST_INODE(fs_->super)) return fail(Code::cannot_customise, "the file system is damaged");
  const auto steps = [&]() -> Result<> {
    STAMPEDE_TRY(ext2_inode_large node, inode(number));
    if (const errcode_t error = ext2fs_unlink(fs_, parent, name.c_str(), number, 0); error != 0)
      return failed(error, Code::write_failed, fmt::format("cannot remove '{}'", name));
    STAMPEDE_TRY(ext2_inode_large above, inode(parent));
    // One that has more folders than can be counted says 1.
    if (above.i_links_count > 2) --above.i_links_count;
    stamp(above, false);
    STAMPEDE_CHECK(write_inode(parent, above));
    return release(number, node);
  };
  return checked(steps());
}

}  // namespace stampede::volume

#include <algorithm>
#include <limits>

#include "src/base/seams.h"
#include "src/volume/file_system.h"

namespace stampede::volume {

namespace {

constexpr std::size_t kMostName = EXT2_NAME_LEN;

// Seconds since 1970 in the 34 bits of a large inode: the low 32, and two more in the extra field.
std::uint32_t low_seconds(UnixTime time) { return static_cast<std::uint32_t>(time); }
std::uint32_t extra_seconds(UnixTime time) {
  const auto low = static_cast<std::int32_t>(low_seconds(time));
  return static_cast<std::uint32_t>((time - low) >> 32) & 3;
}

}  // namespace

Result<> FileSystem::checked(Result<> done) {
  if (done && channel_.write_error) done = std::unexpected(*channel_.write_error);
  if (const std::string complaint = take_complaint(); done && !complaint.empty())
    done = fail(Code::cannot_customise, "the file system is damaged: {}; run e2fsck", complaint);
  if (!done && !spoiled_) spoiled_ = done.error();
  return done;
}

Result<> FileSystem::may_change(ext2_ino_t folder) {
  if (!writable_) return fail(Code::internal, "the file system is open read-only");
  STAMPEDE_TRY(const ext2_inode_large node, inode(folder));
  if (!LINUX_S_ISDIR(node.i_mode)) return fail(Code::cannot_customise, "its parent is not a folder");
  if ((node.i_flags & (EXT4_ENCRYPT_FL | EXT4_CASEFOLD_FL)) != 0)
    return fail(Code::cannot_customise, "its folder is encrypted or ignores case, and cannot be edited unmounted");
  return {};
}

Result<> FileSystem::write_inode(ext2_ino_t number, ext2_inode_large& node) {
  if (const errcode_t error = ext2fs_write_inode_full(fs_, number, plain(node), sizeof node); error != 0)
    return failed(error, Code::write_failed, fmt::format("cannot write inode {}", number));
  return {};
}

void FileSystem::stamp(ext2_inode_large& node, bool made) const {
  const UnixTime now = fs_->now;
  node.i_mtime = node.i_ctime = low_seconds(now);
  if (made) node.i_atime = low_seconds(now);
  if (fs_->super->s_inode_size <= EXT2_GOOD_OLD_INODE_SIZE || node.i_extra_isize < 16) return;
  node.i_mtime_extra = node.i_ctime_extra = extra_seconds(now);
  if (made) node.i_atime_extra = extra_seconds(now);
}

Result<> FileSystem::touch(ext2_ino_t folder) {
  STAMPEDE_TRY(ext2_inode_large node, inode(folder));
  stamp(node, false);
  return write_inode(folder, node);
}

Result<ext2_ino_t> FileSystem::make_folder(ext2_ino_t parent, const std::string& name) {
  STAMPEDE_CHECK(may_change(parent));
  errcode_t error = ext2fs_mkdir(fs_, parent, 0, name.c_str());
  if (error == EXT2_ET_DIR_NO_SPACE) {
    error = ext2fs_expand_dir(fs_, parent);
    if (error == 0) error = ext2fs_mkdir(fs_, parent, 0, name.c_str());
  }
  Result<> done;
  if (error != 0) done = failed(error, Code::write_failed, fmt::format("cannot make folder '{}'", name));
  if (done) done = touch(parent);
  STAMPEDE_CHECK(checked(std::move(done)));
  return entry(parent, name);
}

Result<> FileSystem::link(ext2_ino_t parent, const std::string& name, ext2_ino_t number) {
  errcode_t error = ext2fs_link(fs_, parent, name.c_str(), number, EXT2_FT_REG_FILE);
  if (error == EXT2_ET_DIR_NO_SPACE) {
    error = ext2fs_expand_dir(fs_, parent);
    if (error == 0) error = ext2fs_link(fs_, parent, name.c_str(), number, EXT2_FT_REG_FILE);
  }
  if (error != 0) return failed(error, Code::write_failed, fmt::format("cannot enter '{}' into its folder", name));
  return touch(parent);
}

Result<ext2_ino_t> FileSystem::make_file(ext2_ino_t parent, const std::string& name) {
  STAMPEDE_CHECK(may_change(parent));
  if (name.size() > kMostName) return fail(Code::usage, "'{}' is longer than {} bytes", name, kMostName);
  auto made = new_file(parent, name);
  STAMPEDE_CHECK(checked(made ? Result<>{} : Result<>(std::unexpected(made.error()))));
  return made;
}

Result<ext2_ino_t> FileSystem::new_file(ext2_ino_t parent, const std::string& name) {
  const std::string doing = fmt::format("cannot make file '{}'", name);
  ext2_ino_t number = 0;
  if (const errcode_t error = ext2fs_new_inode(fs_, parent, LINUX_S_IFREG, nullptr, &number); error != 0)
    return failed(error, Code::write_failed, doing);
  ext2fs_inode_alloc_stats2(fs_, number, +1, 0);

  ext2_inode node{};
  node.i_mode = LINUX_S_IFREG;
  node.i_links_count = 1;
  node.i_ctime = node.i_mtime = node.i_atime = low_seconds(fs_->now);
  if (const errcode_t error = ext2fs_write_new_inode(fs_, number, &node); error != 0)
    return failed(error, Code::write_failed, doing);
  STAMPEDE_CHECK(empty(number));
  STAMPEDE_CHECK(link(parent, name, number));
  return number;
}

Result<> FileSystem::may_replace(const ext2_inode_large& node) const {
  if (!writable_) return fail(Code::internal, "the file system is open read-only");
  if (!LINUX_S_ISREG(node.i_mode)) return fail(Code::cannot_customise, "there is something that is not a regular file");
  if ((node.i_flags & (EXT4_ENCRYPT_FL | EXT4_VERITY_FL)) != 0)
    return fail(Code::cannot_customise, "the file there is encrypted or sealed by fs-verity");
  return {};
}

Result<> FileSystem::overwrite(ext2_ino_t file, ByteView content) {
  STAMPEDE_TRY(ext2_inode_large node, inode(file));
  STAMPEDE_CHECK(may_replace(node));
  if (EXT2_I_SIZE(&node) != content.size()) return fail(Code::internal, "the file would change its size");
  Result<> done = append(file, content);  // from its start, where a file is opened
  if (done) done = touch(file);
  return checked(std::move(done));
}

Result<> FileSystem::replace_content(ext2_ino_t file, ByteView content, std::optional<unsigned> mode) {
  STAMPEDE_TRY(const ext2_inode_large node, inode(file));
  STAMPEDE_CHECK(may_replace(node));
  Result<> done = empty(file);
  if (done) done = append(file, content);
  if (done) done = mode ? finish(file, *mode) : touch(file);
  return checked(std::move(done));
}

// Content within the inode is given up for blocks: whatever the file is to hold then takes the one well-trodden path.
Result<> FileSystem::empty(ext2_ino_t file) {
  STAMPEDE_TRY(ext2_inode_large node, inode(file));
  if (ext2fs_inode_has_valid_blocks2(fs_, plain(node)) != 0 || (node.i_flags & EXT4_INLINE_DATA_FL) != 0) {
    if (const errcode_t error = ext2fs_punch(fs_, file, plain(node), nullptr, 0, std::numeric_limits<blk64_t>::max());
        error != 0)
      return failed(error, Code::write_failed, "cannot empty the file");
    STAMPEDE_TRY(node, inode(file));
  }
  if (const errcode_t error = ext2fs_inode_size_set(fs_, plain(node), 0); error != 0)
    return failed(error, Code::write_failed, "cannot empty the file");
  const bool was_inline = (node.i_flags & EXT4_INLINE_DATA_FL) != 0;
  const bool is_new = node.i_mode == LINUX_S_IFREG && node.i_flags == 0;
  if (was_inline || is_new) {
    node.i_flags &= ~static_cast<std::uint32_t>(EXT4_INLINE_DATA_FL);
    std::ranges::fill(node.i_block, 0U);
    if (ext2fs_has_feature_extents(fs_->super) != 0) {
      STAMPEDE_CHECK(write_inode(file, node));
      ext2_extent_handle_t handle = nullptr;
      if (const errcode_t error = ext2fs_extent_open2(fs_, file, plain(node), &handle); error != 0)
        return failed(error, Code::write_failed, "cannot begin the file's extents");
      ext2fs_extent_free(handle);
    }
  }
  return write_inode(file, node);
}

Result<> FileSystem::append(ext2_ino_t file, ByteView content) {
  ext2_file_t handle = nullptr;
  if (const errcode_t error = ext2fs_file_open2(fs_, file, nullptr, EXT2_FILE_WRITE, &handle); error != 0)
    return failed(error, Code::write_failed, "cannot open the file");
  errcode_t error = 0;
  while (error == 0 && !content.empty()) {
    unsigned wrote = 0;
    error = ext2fs_file_write(handle, content.data(), static_cast<unsigned>(std::min<std::size_t>(content.size(), 1U << 20)),
                              &wrote);
    if (error == 0 && wrote == 0) error = EXT2_ET_SHORT_WRITE;
    content = content.subspan(std::min<std::size_t>(wrote, content.size()));
  }
  const errcode_t closing = ext2fs_file_close(handle);  // flushes its buffer
  if (error == 0) error = closing;
  if (error != 0) return failed(error, Code::write_failed, "cannot write the file");
  return {};
}

Result<> FileSystem::finish(ext2_ino_t file, unsigned mode) {
  STAMPEDE_TRY(ext2_inode_large node, inode(file));
  const bool made = node.i_mode == LINUX_S_IFREG;
  node.i_mode = static_cast<std::uint16_t>(LINUX_S_IFREG | (mode & 07777));
  node.i_uid = node.i_gid = 0;
  node.osd2.linux2.l_i_uid_high = node.osd2.linux2.l_i_gid_high = 0;
  stamp(node, made);
  return write_inode(file, node);
}

Result<> FileSystem::unlink(ext2_ino_t parent, const std::string& name, ext2_ino_t number) {
  STAMPEDE_CHECK(may_change(parent));
  STAMPEDE_TRY(const ext2_inode_large node, inode(number));
  if (LINUX_S_ISDIR(node.i_mode)) return fail(Code::cannot_customise, "it is a folder");
  if (number < EXT2_FIRST_INODE(fs_->super)) return fail(Code::cannot_customise, "the file system is damaged");
  return checked(unlink_steps(parent, name, number));
}

Result<> FileSystem::unlink_steps(ext2_ino_t parent, const std::string& name, ext2_ino_t number) {
  STAMPEDE_TRY(ext2_inode_large node, inode(number));
  if (const errcode_t error = ext2fs_unlink(fs_, parent, name.c_str(), number, 0); error != 0)
    return failed(error, Code::write_failed, fmt::format("cannot remove '{}'", name));
  STAMPEDE_CHECK(touch(parent));
  if (node.i_links_count > 1) {
    --node.i_links_count;
    node.i_ctime = low_seconds(fs_->now);
    return write_inode(number, node);
  }
  return release(number, node);
}

Result<> FileSystem::release(ext2_ino_t number, ext2_inode_large& node) {
  node.i_links_count = 0;
  node.i_dtime = low_seconds(fs_->now);
  STAMPEDE_CHECK(write_inode(number, node));
  if (const errcode_t error = ext2fs_free_ext_attr(fs_, number, &node); error != 0)
    return failed(error, Code::write_failed, "cannot free its attributes");
  if (ext2fs_inode_has_valid_blocks2(fs_, plain(node)) != 0) {
    if (const errcode_t error = ext2fs_punch(fs_, number, plain(node), nullptr, 0, std::numeric_limits<blk64_t>::max());
        error != 0)
      return failed(error, Code::write_failed, "cannot free its blocks");
  }
  ext2fs_inode_alloc_stats2(fs_, number, -1, LINUX_S_ISDIR(node.i_mode) ? 1 : 0);
  return {};
}

}  // namespace stampede::volume

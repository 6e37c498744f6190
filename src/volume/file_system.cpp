#include "src/volume/file_system.h"

#include <algorithm>
#include <cerrno>
#include <tuple>

#include "src/base/seams.h"
#include "src/volume/superblock.h"

namespace stampede::volume {

namespace {

// More than any sound operation reads: all bitmaps at opening are 1/2^15 of the file system and an inode bitmap each.
constexpr Size kMostRead = 4_GiB, kLeastRead = 64_MiB;
constexpr std::size_t kMostNames = 1U << 20;
constexpr Size kRead = 8_MiB;  // at once; a multiple of every block size

std::string text_of(errcode_t code) { return error_message(code); }

Result<> judge(const Superblock& super, FileSystem::Use use) {
  if (use == FileSystem::Use::look) return {};
  if (const auto why = super.unclean(); !why.empty())
    return fail(Code::cannot_customise, "the file system is not clean: {}; shut its machine down properly or run e2fsck",
                why);
  if (const auto feature = super.not_editable(); use == FileSystem::Use::edit && !feature.empty())
    return fail(Code::cannot_customise, "the file system has the feature '{}', with which it cannot be edited unmounted",
                feature);
  return {};
}

}  // namespace

Result<std::unique_ptr<FileSystem>> FileSystem::open(BlockAccess& blocks, Offset offset, Use use) {
  STAMPEDE_TRY(const Superblock super, read_superblock(blocks, offset));
  STAMPEDE_CHECK(judge(super, use));

  std::unique_ptr<FileSystem> out(new FileSystem);
  out->channel_.blocks = &blocks;
  out->channel_.start = offset;
  out->channel_.size = {blocks.size().bytes - offset.bytes};
  out->writable_ = use == Use::edit;
  out->begin();
  const int flags = EXT2_FLAG_64BITS | EXT2_FLAG_MASTER_SB_ONLY | (out->writable_ ? EXT2_FLAG_RW : 0);
  if (const errcode_t error = open_over(out->channel_, flags, &out->fs_); error != 0) {
    out->fs_ = nullptr;
    return out->failed(error, Code::cannot_customise, "cannot open the ext4 file system");
  }
  if (!out->writable_) return out;
  out->fs_->now = system_clock().unix_time();
  if (const errcode_t error = ext2fs_read_bitmaps(out->fs_); error != 0)
    return out->failed(error, Code::cannot_customise, "cannot read the bitmaps of the ext4 file system");
  return out;
}

FileSystem::~FileSystem() {
  if (fs_ != nullptr) ext2fs_free(fs_);
}

void FileSystem::begin() {
  channel_.read_error.reset();
  std::ignore = take_complaint();
  channel_.read_budget = std::clamp(channel_.size * 16, kLeastRead, kMostRead).bytes;
}

std::unexpected<Error> FileSystem::failed(errcode_t code, Code otherwise, std::string_view doing) {
  if (channel_.write_error) return pass(*channel_.write_error, doing);
  if (channel_.read_error) return pass(*channel_.read_error, doing);
  if (code == EXT2_ET_BLOCK_ALLOC_FAIL || code == EXT2_ET_INODE_ALLOC_FAIL || code == ENOSPC)
    return fail(Code::no_space, "{}: the file system is full", doing);
  return fail(otherwise, "{}: {}", doing, text_of(code));
}

Result<ext2_ino_t> FileSystem::find(std::string_view path) {
  if (!path.starts_with('/')) return fail(Code::usage, "'{}' is not an absolute path", path);
  ext2_ino_t out = 0;
  const std::string text(path);
  const errcode_t error = ext2fs_namei_follow(fs_, EXT2_ROOT_INO, EXT2_ROOT_INO, text.c_str(), &out);
  if (error != 0)
    return failed(error,
                  error == EXT2_ET_FILE_NOT_FOUND || error == EXT2_ET_NO_DIRECTORY ? Code::not_found : Code::read_failed,
                  fmt::format("cannot find {}", path));
  return out;
}

Result<ext2_ino_t> FileSystem::entry(ext2_ino_t folder, const std::string& name) {
  ext2_ino_t out = 0;
  const errcode_t error = ext2fs_lookup(fs_, folder, name.c_str(), static_cast<int>(name.size()), nullptr, &out);
  if (error == EXT2_ET_FILE_NOT_FOUND && !channel_.read_error) return 0;
  if (error != 0) return failed(error, Code::read_failed, fmt::format("cannot look up '{}'", name));
  return out;
}

Result<ext2_ino_t> FileSystem::followed(ext2_ino_t folder, const std::string& name) {
  ext2_ino_t out = 0;
  const errcode_t error = ext2fs_namei_follow(fs_, EXT2_ROOT_INO, folder, name.c_str(), &out);
  if (error == EXT2_ET_FILE_NOT_FOUND && !channel_.read_error) return 0;
  if (error != 0) return failed(error, Code::read_failed, fmt::format("cannot look up '{}'", name));
  return out;
}

Result<ext2_inode_large> FileSystem::inode(ext2_ino_t number) {
  ext2_inode_large out{};
  if (number == 0 || number > fs_->super->s_inodes_count)
    return fail(Code::read_failed, "the file system is damaged: there is no inode {}", number);
  if (const errcode_t error = ext2fs_read_inode_full(fs_, number, plain(out), sizeof out); error != 0)
    return failed(error, Code::read_failed, fmt::format("cannot read inode {}", number));
  return out;
}

Result<std::vector<std::string>> FileSystem::names(ext2_ino_t folder) {
  std::vector<std::string> out;
  const auto collect = [](ext2_ino_t, int entry, ext2_dir_entry* dirent, int, int, char*, void* arg) {
    auto& list = *static_cast<std::vector<std::string>*>(arg);
    if (entry == DIRENT_DOT_FILE || entry == DIRENT_DOT_DOT_FILE) return 0;
    const std::string_view name(dirent->name, static_cast<std::size_t>(ext2fs_dirent_name_len(dirent)));
    if (name.empty() || name == "." || name == ".." || name.find('/') != name.npos || name.find('\0') != name.npos) return 0;
    list.emplace_back(name);
    return list.size() > kMostNames ? DIRENT_ABORT : 0;
  };
  const errcode_t error = ext2fs_dir_iterate2(fs_, folder, 0, nullptr, collect, &out);
  if (error != 0 || channel_.read_error) return failed(error, Code::read_failed, "cannot list a folder");
  if (out.size() > kMostNames) return fail(Code::read_failed, "a folder holds more than {} names", kMostNames);
  return out;
}

Result<Bytes> FileSystem::content(ext2_ino_t file, Size limit) {
  STAMPEDE_TRY(ext2_inode_large node, inode(file));
  if (!LINUX_S_ISREG(node.i_mode)) return fail(Code::read_failed, "not a regular file");
  if ((node.i_flags & EXT4_ENCRYPT_FL) != 0) return fail(Code::read_failed, "the file is encrypted");
  const std::uint64_t size = EXT2_I_SIZE(&node);
  if (size > limit.bytes) return fail(Code::read_failed, "the file is larger than {}", human_size(limit.bytes));

  if ((node.i_flags & EXT4_INLINE_DATA_FL) != 0) return inline_content(file, node);
  // libext2fs reads a file block by block, each with a wait for the disk of its own; its extents are read in one go each.
  STAMPEDE_TRY(const auto parts, extents(file));
  const std::uint64_t block = fs_->blocksize;
  Bytes out((size + block - 1) / block * block);
  for (const FileExtent& part : parts) {
    if (part.at.bytes >= out.size()) continue;
    const std::uint64_t length = std::min(part.length.bytes, out.size() - part.at.bytes);
    for (std::uint64_t done = 0; done < length; done += kRead.bytes) {
      const int count = static_cast<int>(std::min(kRead.bytes, length - done) / block);
      const errcode_t error = io_channel_read_blk64(fs_->io, (part.disk - channel_.start).bytes / block + done / block,
                                                    count, out.data() + part.at.bytes + done);
      if (error != 0 || channel_.read_error) return failed(error, Code::read_failed, "cannot read");
    }
  }
  out.resize(size);
  return out;
}

// A small one, within its inode.
Result<Bytes> FileSystem::inline_content(ext2_ino_t file, ext2_inode_large& node) {
  const std::uint64_t size = EXT2_I_SIZE(&node);
  if (size > fs_->blocksize)
    return fail(Code::read_failed, "the file system is damaged: inode {} holds {} bytes by itself", file, size);
  ext2_file_t handle = nullptr;
  if (const errcode_t error = ext2fs_file_open2(fs_, file, plain(node), 0, &handle); error != 0)
    return failed(error, Code::read_failed, "cannot open");
  Bytes out(size);
  unsigned got = 0;
  const errcode_t error = ext2fs_file_read(handle, out.data(), static_cast<unsigned>(out.size()), &got);
  ext2fs_file_close(handle);
  if (error != 0 || channel_.read_error || got != out.size())
    return failed(error != 0 ? error : EXT2_ET_SHORT_READ, Code::read_failed, "cannot read");
  return out;
}

Result<> FileSystem::close() {
  if (fs_ == nullptr) return fail(Code::internal, "the file system is closed already");
  if (!writable_) return {};
  if (spoiled_) return pass(*spoiled_, "an edit failed, so the file system is not closed");
  begin();
  ext2_filsys fs = std::exchange(fs_, nullptr);
  const errcode_t error = ext2fs_close2(fs, 0);
  if (error != 0) {
    auto out = failed(error, Code::write_failed, "cannot close the ext4 file system");
    ext2fs_free(fs);
    return out;
  }
  if (channel_.write_error) return pass(*channel_.write_error, "cannot close the ext4 file system");
  if (const std::string complaint = take_complaint(); !complaint.empty())
    return fail(Code::write_failed, "cannot close the ext4 file system: {}", complaint);
  return channel_.blocks->flush();
}

}  // namespace stampede::volume

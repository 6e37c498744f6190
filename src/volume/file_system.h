// An ext2/3/4 file system through libext2fs: inodes and folder entries, beneath the paths of Ext4. libext2fs's home.
// Not thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/volume/ext4.h"
#include "src/volume/ext4_io.h"
#include "src/volume/file_tree.h"

namespace stampede::volume {

class FileSystem {
 public:
  enum class Use { look, read, edit };  // look: read-only, even if it is unclean
  static Result<std::unique_ptr<FileSystem>> open(BlockAccess& blocks, Offset offset, Use use);
  FileSystem(const FileSystem&) = delete;
  FileSystem& operator=(const FileSystem&) = delete;
  ~FileSystem();

  // Begins an operation of a caller: gives it a new budget of reads.
  void begin();
  bool writable() const { return writable_; }

  // Where a path leads, symbolic links followed to the end. Errors: not_found, read_failed.
  Result<ext2_ino_t> find(std::string_view path);
  // One name in a folder, not followed. Zero: no such name.
  Result<ext2_ino_t> entry(ext2_ino_t folder, const std::string& name);
  // The same, followed. Zero: no such name, or a link to nowhere.
  Result<ext2_ino_t> followed(ext2_ino_t folder, const std::string& name);
  Result<ext2_inode_large> inode(ext2_ino_t number);
  Result<std::vector<std::string>> names(ext2_ino_t folder);
  Result<Bytes> content(ext2_ino_t file, Size limit);

  // See Ext4. In file_system_map.cpp.
  Result<std::vector<Range>> used();
  Result<std::vector<Range>> unused();
  Result<std::vector<Range>> idle();
  Result<std::vector<Owner>> owners(std::span<const Range> ranges);
  std::int64_t last_mounted() const { return fs_->super->s_mtime | std::int64_t{fs_->super->s_mtime_hi} << 32; }
  // See FileTree. In file_system_tree.cpp.
  Result<std::vector<Child>> children(ext2_ino_t folder);
  Result<Node> node(ext2_ino_t number);
  Result<std::vector<FileExtent>> extents(ext2_ino_t file);
  void keep_time() { fs_->now = fs_->super->s_wtime | std::int64_t{fs_->super->s_wtime_hi} << 32; }

  // Edits. After one has failed the file system may be half changed: close() then refuses.
  Result<ext2_ino_t> make_folder(ext2_ino_t parent, const std::string& name);
  Result<ext2_ino_t> make_file(ext2_ino_t parent, const std::string& name);
  // Without a mode owner and mode stay.
  Result<> replace_content(ext2_ino_t file, ByteView content, std::optional<unsigned> mode);
  Result<> overwrite(ext2_ino_t file, ByteView content);
  Result<> unlink(ext2_ino_t parent, const std::string& name, ext2_ino_t entry);
  // In file_system_erase.cpp: see Ext4.
  Result<> zero_content(ext2_ino_t file);
  Result<> erase(ext2_ino_t parent, const std::string& name, ext2_ino_t entry);
  Result<> clear(ext2_ino_t folder);
  Result<> close();

 private:
  FileSystem() = default;
  // The error of a libext2fs call, or of the blocks beneath it, which says more.
  std::unexpected<Error> failed(errcode_t code, Code otherwise, std::string_view doing);
  // libext2fs passes some errors of its writes over in silence; and what fails half-way must not be closed as if it had not.
  Result<> checked(Result<> done);
  Result<> may_change(ext2_ino_t folder);
  Result<> read_block_bitmap();
  Result<Bytes> inline_content(ext2_ino_t file, ext2_inode_large& node);
  Result<std::string> target(ext2_ino_t number, ext2_inode_large& raw);
  Result<std::map<std::string, Bytes>> attributes(ext2_ino_t number);
  Range range_of(blk64_t first, blk64_t end) const;
  Result<> write_inode(ext2_ino_t number, ext2_inode_large& inode);
  // What a file may hold is replaced only where it is a plain one.
  Result<> may_replace(const ext2_inode_large& inode) const;
  Result<> link(ext2_ino_t parent, const std::string& name, ext2_ino_t number);
  Result<ext2_ino_t> new_file(ext2_ino_t parent, const std::string& name);
  Result<> empty(ext2_ino_t file);
  Result<> append(ext2_ino_t file, ByteView content);
  Result<> finish(ext2_ino_t file, unsigned mode);
  Result<> unlink_steps(ext2_ino_t parent, const std::string& name, ext2_ino_t entry);
  Result<> release(ext2_ino_t number, ext2_inode_large& inode);
  Result<> erase_entry(ext2_ino_t parent, const std::string& name, ext2_ino_t entry, std::size_t depth, std::size_t& count);
  Result<> clear_folder(ext2_ino_t folder, std::size_t depth, std::size_t& count);
  Result<> remove_folder(ext2_ino_t parent, const std::string& name, ext2_ino_t entry);
  void stamp(ext2_inode_large& inode, bool made) const;
  Result<> touch(ext2_ino_t folder);

  Channel channel_;
  ext2_filsys fs_ = nullptr;
  bool writable_ = false;
  std::optional<Error> spoiled_;
};

inline ext2_inode* plain(ext2_inode_large& inode) { return reinterpret_cast<ext2_inode*>(&inode); }

struct Ext4::State {
  std::unique_ptr<FileSystem> files;
};

}  // namespace stampede::volume

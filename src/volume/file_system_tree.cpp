// Nodes, and where their content lies. See file_tree.h.
#include <algorithm>

#include "src/volume/file_system.h"
#include "src/volume/file_tree.h"

namespace stampede::volume {

namespace {

constexpr std::size_t kMostChildren = 1U << 20;
constexpr std::size_t kMostTarget = 4096;

Node::Kind kind_of(const ext2_inode_large& node) {
  if (LINUX_S_ISREG(node.i_mode)) return Node::Kind::file;
  if (LINUX_S_ISDIR(node.i_mode)) return Node::Kind::folder;
  return LINUX_S_ISLNK(node.i_mode) ? Node::Kind::link : Node::Kind::other;
}

// Collects what follows in the file and on the disk as one.
class ExtentList {
 public:
  ExtentList(Offset start, unsigned block_size) : start_(start), block_size_(block_size) {}
  bool add(std::uint64_t logical, std::uint64_t physical, std::uint64_t count) {
    const Offset at{logical * block_size_}, disk = start_ + Size{physical * block_size_};
    const Size length{count * block_size_};
    if (!out.empty() && out.back().at + out.back().length == at && out.back().disk + out.back().length == disk)
      out.back().length += length;
    else
      out.push_back({at, disk, length});
    return out.size() <= kMostExtents;
  }
  std::vector<FileExtent> out;

 private:
  Offset start_;
  unsigned block_size_;
};

// Leaves of an extent tree; what is allocated and not yet written reads as zeros, as a hole does.
errcode_t by_extents(ext2_filsys fs, ext2_ino_t file, ext2_inode_large& raw, ExtentList& list) {
  ext2_extent_handle_t handle = nullptr;
  errcode_t error = ext2fs_extent_open2(fs, file, plain(raw), &handle);
  if (error != 0) return error;
  ext2fs_extent extent{};
  error = ext2fs_extent_get(handle, EXT2_EXTENT_ROOT, &extent);
  while (error == 0) {
    const bool leaf = (extent.e_flags & EXT2_EXTENT_FLAGS_LEAF) != 0;
    const bool counts = leaf && (extent.e_flags & (EXT2_EXTENT_FLAGS_UNINIT | EXT2_EXTENT_FLAGS_SECOND_VISIT)) == 0;
    if (counts && !list.add(extent.e_lblk, extent.e_pblk, extent.e_len)) break;
    error = ext2fs_extent_get(handle, EXT2_EXTENT_NEXT, &extent);
  }
  ext2fs_extent_free(handle);
  return error == EXT2_ET_EXTENT_NO_NEXT || error == EXT2_ET_NO_CURRENT_NODE ? 0 : error;
}

errcode_t by_blocks(ext2_filsys fs, ext2_ino_t file, ext2_inode_large& raw, ExtentList& list) {
  if (ext2fs_inode_has_valid_blocks2(fs, plain(raw)) == 0) return 0;
  const auto each = [](ext2_filsys, blk64_t* block, e2_blkcnt_t count, blk64_t, int, void* arg) {
    return static_cast<ExtentList*>(arg)->add(static_cast<std::uint64_t>(count), *block, 1) ? 0 : BLOCK_ABORT;
  };
  return ext2fs_block_iterate3(fs, file, BLOCK_FLAG_READ_ONLY | BLOCK_FLAG_DATA_ONLY, nullptr, each, &list);
}

int add_attribute(char* name, char* value, std::size_t size, void* arg) {
  const std::string_view bytes(value == nullptr ? "" : value, value == nullptr ? 0 : size);
  (*static_cast<std::map<std::string, Bytes>*>(arg))[name] = copy(as_bytes(bytes));
  return 0;
}

}  // namespace

Result<std::vector<Child>> FileSystem::children(ext2_ino_t folder) {
  std::vector<Child> out;
  const auto collect = [](ext2_ino_t, int entry, ext2_dir_entry* dirent, int, int, char*, void* arg) {
    auto& list = *static_cast<std::vector<Child>*>(arg);
    if (entry == DIRENT_DOT_FILE || entry == DIRENT_DOT_DOT_FILE || dirent->inode == 0) return 0;
    const std::string_view name(dirent->name, static_cast<std::size_t>(ext2fs_dirent_name_len(dirent)));
    if (name.empty() || name == "." || name == ".." || name.find('/') != name.npos || name.find('\0') != name.npos) return 0;
    list.push_back({std::string(name), dirent->inode});
    return list.size() > kMostChildren ? DIRENT_ABORT : 0;
  };
  const errcode_t error = ext2fs_dir_iterate2(fs_, folder, 0, nullptr, collect, &out);
  if (error != 0 || channel_.read_error) return failed(error, Code::read_failed, "cannot list a folder");
  if (out.size() > kMostChildren) return fail(Code::read_failed, "a folder holds more than {} names", kMostChildren);
  return out;
}

Result<Node> FileSystem::node(ext2_ino_t number) {
  STAMPEDE_TRY(ext2_inode_large raw, inode(number));
  Node out;
  out.kind = kind_of(raw);
  out.mode = raw.i_mode;
  out.user = inode_uid(raw);
  out.group = inode_gid(raw);
  if (out.kind == Node::Kind::file) out.size = {EXT2_I_SIZE(&raw)};
  out.is_inline = (raw.i_flags & EXT4_INLINE_DATA_FL) != 0;
  if (LINUX_S_ISCHR(raw.i_mode) || LINUX_S_ISBLK(raw.i_mode))
    out.device = raw.i_block[0] != 0 ? raw.i_block[0] : raw.i_block[1];
  if (out.kind == Node::Kind::link) {
    STAMPEDE_TRY(out.target, target(number, raw));
  }
  STAMPEDE_TRY(out.attributes, attributes(number));
  return out;
}

Result<std::string> FileSystem::target(ext2_ino_t number, ext2_inode_large& raw) {
  const std::uint64_t size = EXT2_I_SIZE(&raw);
  if (size > kMostTarget)
    return fail(Code::read_failed, "the file system is damaged: inode {} is a link of {} bytes", number, size);
  if (ext2fs_is_fast_symlink(plain(raw)) != 0)
    return std::string(reinterpret_cast<const char*>(&raw.i_block[0]), std::min<std::size_t>(size, sizeof raw.i_block));
  std::string out(size, '\0');
  ext2_file_t handle = nullptr;
  if (const errcode_t error = ext2fs_file_open2(fs_, number, plain(raw), 0, &handle); error != 0)
    return failed(error, Code::read_failed, "cannot read a symbolic link");
  unsigned got = 0;
  const errcode_t error = ext2fs_file_read(handle, out.data(), static_cast<unsigned>(size), &got);
  ext2fs_file_close(handle);
  if (error != 0 || channel_.read_error) return failed(error, Code::read_failed, "cannot read a symbolic link");
  out.resize(got);
  return out;
}

Result<std::map<std::string, Bytes>> FileSystem::attributes(ext2_ino_t number) {
  std::map<std::string, Bytes> out;
  ext2_xattr_handle* handle = nullptr;
  errcode_t error = ext2fs_xattrs_open(fs_, number, &handle);
  if (error != 0) return failed(error, Code::read_failed, "cannot read extended attributes");
  error = ext2fs_xattrs_read(handle);
  if (error == 0) error = ext2fs_xattrs_iterate(handle, add_attribute, &out);
  ext2fs_xattrs_close(&handle);
  if (error != 0 || channel_.read_error) return failed(error, Code::read_failed, "cannot read extended attributes");
  out.erase("system.data");  // inline content
  return out;
}

Result<std::vector<FileExtent>> FileSystem::extents(ext2_ino_t file) {
  STAMPEDE_TRY(ext2_inode_large raw, inode(file));
  ExtentList list(channel_.start, fs_->blocksize);
  const bool has_tree = (raw.i_flags & EXT4_EXTENTS_FL) != 0;
  const errcode_t error = has_tree ? by_extents(fs_, file, raw, list) : by_blocks(fs_, file, raw, list);
  if (error != 0 || channel_.read_error)
    return failed(error, Code::read_failed, fmt::format("cannot find where inode {} lies", file));
  if (list.out.size() > kMostExtents)
    return fail(Code::read_failed, "inode {} lies in more than {} parts", file, kMostExtents);
  return std::move(list.out);
}

}  // namespace stampede::volume

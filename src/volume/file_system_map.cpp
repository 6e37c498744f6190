// Which blocks of a file system are in use, and whose they are.
#include <algorithm>
#include <map>
#include <set>

#include "src/volume/file_system.h"

namespace stampede::volume {

namespace {

// Deeper than any path that a kernel would open.
constexpr std::size_t kDeepest = 2048;

// Blocks from … to before the second.
struct Run {
  blk64_t first = 0;
  blk64_t end = 0;
};

// What part of the asked-for runs belongs to whom. Each block is given away once.
class Claims {
 public:
  explicit Claims(std::vector<Run> asked) {
    for (const Run& run : asked) open_.emplace(run.first, run.end);
  }

  // Neighbouring blocks of one inode come one after the other.
  void claim(ext2_ino_t inode, blk64_t block) {
    auto at = open_.upper_bound(block);
    if (at == open_.begin()) return;
    --at;
    const blk64_t first = at->first, end = at->second;
    if (block >= end) return;
    open_.erase(at);
    if (first < block) open_.emplace(first, block);
    if (block + 1 < end) open_.emplace(block + 1, end);
    auto& runs = owned_[inode];
    if (!runs.empty() && runs.back().end == block)
      ++runs.back().end;
    else
      runs.push_back({block, block + 1});
  }

  const std::map<ext2_ino_t, std::vector<Run>>& owned() const { return owned_; }
  const std::map<blk64_t, blk64_t>& open() const { return open_; }

 private:
  std::map<blk64_t, blk64_t> open_;  // first → end
  std::map<ext2_ino_t, std::vector<Run>> owned_;
};

struct Claimer {
  Claims* claims;
  ext2_ino_t inode;
};

void claim_blocks(ext2_filsys fs, ext2_ino_t number, ext2_inode_large& node, Claims& claims) {
  if (const blk64_t attributes = ext2fs_file_acl_block(fs, plain(node)); attributes != 0) claims.claim(number, attributes);
  if ((node.i_flags & EXT4_INLINE_DATA_FL) != 0 || ext2fs_inode_has_valid_blocks2(fs, plain(node)) == 0) return;
  const auto each = [](ext2_filsys, blk64_t* block, e2_blkcnt_t, blk64_t, int, void* arg) {
    const auto& to = *static_cast<Claimer*>(arg);
    to.claims->claim(to.inode, *block);
    return 0;
  };
  Claimer to{&claims, number};
  // What cannot be walked belongs to nobody, as metadata does.
  std::ignore = ext2fs_block_iterate3(fs, number, BLOCK_FLAG_READ_ONLY, nullptr, each, &to);
}

bool is_own(const ext2_filsys fs, ext2_ino_t number) {
  return number != EXT2_ROOT_INO && number < static_cast<ext2_ino_t>(EXT2_FIRST_INODE(fs->super));
}

// Goes through all folders for the paths of some inodes.
class Namer {
 public:
  Namer(ext2_filsys fs, const std::map<ext2_ino_t, std::vector<Run>>& wanted) : fs_(fs) {
    for (const auto& [inode, runs] : wanted) missing_.insert(inode);
    name(EXT2_ROOT_INO, "/");
  }
  Result<std::map<ext2_ino_t, std::string>> run() {
    folders_.push_back({EXT2_ROOT_INO, "/"});
    seen_.insert(EXT2_ROOT_INO);
    while (!folders_.empty() && !missing_.empty()) {
      folder_ = std::move(folders_.back());
      folders_.pop_back();
      // A folder that cannot be read leaves those in it without names.
      std::ignore = ext2fs_dir_iterate2(fs_, folder_.inode, 0, nullptr, &Namer::each, this);
      if (circle_) return fail(Code::read_failed, "the file system is damaged: {} is in itself", folder_.path);
    }
    return std::move(names_);
  }

 private:
  struct Folder {
    ext2_ino_t inode = 0;
    std::string path;
  };
  static int each(ext2_ino_t, int entry, ext2_dir_entry* dirent, int, int, char*, void* arg) {
    if (entry == DIRENT_DOT_FILE || entry == DIRENT_DOT_DOT_FILE) return 0;
    return static_cast<Namer*>(arg)->take(dirent->inode,
                                          {dirent->name, static_cast<std::size_t>(ext2fs_dirent_name_len(dirent))},
                                          ext2fs_dirent_file_type(dirent));
  }
  int take(ext2_ino_t inode, std::string_view name_here, int type) {
    if (inode == 0 || name_here == "." || name_here == "..") return 0;
    std::string path = folder_.path + std::string(name_here);
    if (is_folder(inode, type)) {
      path += '/';
      // A folder has one name.
      if (!seen_.insert(inode).second || path.size() > kDeepest * 2) return circle_ = true, DIRENT_ABORT;
      folders_.push_back({inode, path});
    }
    name(inode, std::move(path));
    return 0;
  }
  bool is_folder(ext2_ino_t inode, int type) const {
    return type == EXT2_FT_UNKNOWN ? ext2fs_check_directory(fs_, inode) == 0 : type == EXT2_FT_DIR;
  }
  void name(ext2_ino_t inode, std::string path) {
    if (missing_.erase(inode) > 0) names_.emplace(inode, std::move(path));
  }

  ext2_filsys fs_;
  std::set<ext2_ino_t> missing_;
  std::set<ext2_ino_t> seen_;  // folders
  std::vector<Folder> folders_;
  Folder folder_;  // being read
  bool circle_ = false;
  std::map<ext2_ino_t, std::string> names_;
};

}  // namespace

Range FileSystem::range_of(blk64_t first, blk64_t end) const {
  return {channel_.start + Size{first * fs_->blocksize}, Size{(end - first) * fs_->blocksize}};
}

Result<> FileSystem::read_block_bitmap() {
  if (fs_->block_map != nullptr) return {};
  if (const errcode_t error = ext2fs_read_block_bitmap(fs_); error != 0)
    return failed(error, Code::read_failed, "cannot read the block bitmaps of the ext4 file system");
  return {};
}

Result<std::vector<Range>> FileSystem::used() {
  STAMPEDE_CHECK(read_block_bitmap());
  std::vector<Range> out;
  const blk64_t first = fs_->super->s_first_data_block, last = ext2fs_blocks_count(fs_->super) - 1;
  if (first > 0) out.push_back(range_of(0, first));
  for (blk64_t at = first; at <= last;) {
    blk64_t begin = 0, end = 0;
    if (ext2fs_find_first_set_block_bitmap2(fs_->block_map, at, last, &begin) != 0) break;
    if (ext2fs_find_first_zero_block_bitmap2(fs_->block_map, begin, last, &end) != 0) end = last + 1;
    out.push_back(range_of(begin, end));
    at = end;
  }
  return out;
}

Result<std::vector<Range>> FileSystem::unused() {
  STAMPEDE_CHECK(read_block_bitmap());
  std::vector<Range> out;
  const blk64_t last = ext2fs_blocks_count(fs_->super) - 1;
  blk64_t count = 0;
  for (blk64_t at = fs_->super->s_first_data_block; at <= last;) {
    blk64_t begin = 0, end = 0;
    if (ext2fs_find_first_zero_block_bitmap2(fs_->block_map, at, last, &begin) != 0) break;
    if (ext2fs_find_first_set_block_bitmap2(fs_->block_map, begin, last, &end) != 0) end = last + 1;
    out.push_back(range_of(begin, end));
    count += end - begin;
    at = end;
  }
  // The last of clusters of several blocks (bigalloc) may reach beyond the end.
  const blk64_t cluster = static_cast<blk64_t>(EXT2FS_CLUSTER_RATIO(fs_)), told = ext2fs_free_blocks_count(fs_->super);
  if (told < count || told - count >= cluster)
    return fail(Code::read_failed, "the file system counts {} free blocks, and its bitmaps {}", told, count);
  return out;
}

Result<std::vector<Range>> FileSystem::idle() {
  const ext2_super_block& super = *fs_->super;
  std::vector<Range> out;
  if (ext2fs_has_feature_journal(fs_->super) != 0 && super.s_journal_inum != 0) {
    STAMPEDE_TRY(const auto parts, extents(super.s_journal_inum));
    for (const FileExtent& part : parts) out.push_back({part.disk, part.length});
  }
  // Without check sums of its groups it does not know which inodes were never used.
  const blk64_t blocks = ext2fs_blocks_count(fs_->super), table = fs_->inode_blocks_per_group;
  for (dgrp_t group = 0; ext2fs_has_group_desc_csum(fs_) != 0 && group < fs_->group_desc_count; ++group) {
    const bool none = ext2fs_bg_flags_test(fs_, group, EXT2_BG_INODE_UNINIT) != 0;
    const std::uint64_t unused = none ? super.s_inodes_per_group : ext2fs_bg_itable_unused(fs_, group);
    const blk64_t end = ext2fs_inode_table_loc(fs_, group) + table;
    const blk64_t whole = std::min<blk64_t>(unused * EXT2_INODE_SIZE(fs_->super) / fs_->blocksize, table);
    if (whole > 0 && end <= blocks) out.push_back(range_of(end - whole, end));
  }
  return merged(std::move(out));  // only a damaged one has two of them in one place
}

Result<std::vector<Owner>> FileSystem::owners(std::span<const Range> ranges) {
  STAMPEDE_CHECK(read_block_bitmap());
  const blk64_t blocks = ext2fs_blocks_count(fs_->super);
  const std::uint64_t size = fs_->blocksize, start = channel_.start.bytes;
  std::vector<Run> asked;
  for (const Range& range : ranges) {
    if (range.end().bytes <= start || range.at.bytes >= start + blocks * size) continue;
    const blk64_t first = (std::max(range.at.bytes, start) - start) / size;
    const blk64_t end = std::min<blk64_t>(blocks, (range.end().bytes - start + size - 1) / size);
    if (!asked.empty() && first < asked.back().end)
      asked.back().end = std::max(asked.back().end, end);
    else
      asked.push_back({first, end});
  }
  if (asked.empty()) return std::vector<Owner>{};
  Claims claims(std::move(asked));

  ext2_inode_scan scan = nullptr;
  if (const errcode_t error = ext2fs_open_inode_scan(fs_, 0, &scan); error != 0)
    return failed(error, Code::read_failed, "cannot read the inodes of the ext4 file system");
  ext2_ino_t number = 0;
  ext2_inode_large node{};
  errcode_t error = 0;
  while (error == 0 || error == EXT2_ET_BAD_BLOCK_IN_INODE_TABLE || error == EXT2_ET_INODE_CSUM_INVALID) {
    error = ext2fs_get_next_inode_full(scan, &number, plain(node), sizeof node);
    if (error == 0 && number == 0) break;
    if (error == 0 && node.i_links_count > 0 && !is_own(fs_, number)) claim_blocks(fs_, number, node, claims);
  }
  ext2fs_close_inode_scan(scan);
  if (error != 0 || channel_.read_error)
    return failed(error, Code::read_failed, "cannot read the inodes of the ext4 file system");

  STAMPEDE_TRY(auto names, Namer(fs_, claims.owned()).run());
  std::vector<Owner> out;
  Owner metadata{Owner::Kind::metadata, {}, {}}, free{Owner::Kind::free, {}, {}};
  for (const auto& [inode, runs] : claims.owned()) {
    const auto named = names.find(inode);
    Owner* owner =
        named == names.end() ? &metadata : &out.emplace_back(Owner{Owner::Kind::named, std::move(named->second), {}});
    for (const Run& run : runs) owner->ranges.push_back(range_of(run.first, run.end));
  }
  for (const auto& [first, end] : claims.open()) {
    for (blk64_t at = first; at < end;) {
      const auto in_use = [&](blk64_t block) {
        return block < fs_->super->s_first_data_block || ext2fs_test_block_bitmap2(fs_->block_map, block) != 0;
      };
      const bool used = in_use(at);
      blk64_t next = at + 1;
      while (next < end && in_use(next) == used) ++next;
      (used ? metadata : free).ranges.push_back(range_of(at, next));
      at = next;
    }
  }
  for (Owner* rest : {&metadata, &free})
    if (!rest->ranges.empty()) out.push_back(std::move(*rest));
  return out;
}

}  // namespace stampede::volume

// Reads the files of a FAT12, FAT16 or FAT32 file system, overwrites one with as many bytes, and removes one: what the boot
// loader has on an EFI system partition. Names are the short ones. The bytes may be hostile.
// (Microsoft, "FAT: General Overview of On-Disk Format", 1.03.)
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/base/error.h"
#include "src/volume/ext4.h"

namespace stampede::volume {

class Fat {
 public:
  // `blocks` outlives it. Memory: the table, at most 16 MiB. Error: read_failed where it is none, or damaged.
  static Result<Fat> open(BlockAccess& blocks, Offset at, Size length);

  struct Entry {
    std::string path;  // "/EFI/DEBIAN/GRUB.CFG"
    std::uint32_t cluster = 0;
    Size size;
    bool is_folder = false;
    std::vector<Offset> slots;  // on the disk: the parts of its long name, and the entry itself
  };
  // Every file, at most 10000, in folders at most 8 deep.
  Result<std::vector<Entry>> files() const;
  // Where a file's content lies, in the file's order; neighbours together, whole clusters but for the last. At most 16 bytes
  // for each cluster. Error: read_failed, where its chain goes in circles.
  Result<std::vector<Range>> where(const Entry& file) const { return runs(file.cluster, file.size); }
  // The clusters that no file has. Error: cannot_customise where it was not unmounted, or the copies of its table differ.
  Result<std::vector<Range>> unused() const;
  // Errors: read_failed, also where it is larger than `limit`.
  Result<Bytes> read(const Entry& file, Size limit) const;
  // `content` is as long as the file. Not flushed.
  Result<> overwrite(const Entry& file, ByteView content);
  // Nothing of it stays in its clusters. Entries that were listed before it still hold. Not flushed. Errors: also
  // cannot_customise, where it is large.
  Result<> remove(const Entry& file);

 private:
  explicit Fat(BlockAccess& blocks) : blocks_(&blocks) {}
  // Where the clusters of a chain lie, neighbours together, until there are `size` bytes or the chain ends.
  using Run = Range;
  Result<std::vector<Run>> runs(std::uint32_t cluster, Size size) const;
  std::uint32_t next(std::uint32_t cluster) const;
  // `where` says where on the disk `raw` lies.
  Result<> add_folder(ByteView raw, const std::vector<Run>& where, const std::string& path, std::vector<Entry>& out) const;
  Result<> free_chain(std::uint32_t cluster);
  void set_free(std::uint32_t cluster);
  Result<> forget_free_count();
  Result<Bytes> read_chain(std::uint32_t cluster, Size most) const;

  BlockAccess* blocks_;
  unsigned bits_ = 32;
  Bytes table_;
  Offset table_at_;  // of its first copy, on the disk
  unsigned copies_ = 0;
  bool dirty_ = false;          // says its boot sector
  std::optional<Offset> info_;  // FAT32: the sector of information
  Offset data_;                 // of cluster 2, on the disk
  Size cluster_;
  std::uint32_t clusters_ = 0;
  std::uint32_t root_cluster_ = 0;  // FAT32
  Run root_;                        // FAT12 and FAT16
};

}  // namespace stampede::volume

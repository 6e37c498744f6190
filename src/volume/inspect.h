// What is on a disk or in an image file: partition table, partitions, file systems, and what the root file system says of
// itself. Reads only; never mounts. libblkid's and libfdisk's home. Thread-safe (no shared state).
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "src/base/error.h"
#include "src/base/units.h"
#include "src/volume/ext4.h"
#include "src/volume/finding.h"

namespace stampede::volume {

struct PartitionFacts {
  unsigned number = 0;
  Offset offset;
  Size length;
  std::string type;         // type GUID, lower case; "0x83" style for MBR
  std::string guid;         // partition GUID, empty for MBR
  std::string name;         // GPT name
  std::uint64_t flags = 0;  // GPT attributes; for MBR bit 0 = active
  std::string filesystem;   // libblkid's TYPE: "ext4", "vfat", "swap", …; empty if unknown
  std::string label;
  std::string uuid;
};

// ext2, ext3 or ext4: what Ext4 reads and edits.
bool is_ext(std::string_view filesystem);
// The type of an MBR partition that only frames logical ones.
bool is_extended(std::string_view type);

struct RootFacts {
  unsigned partition = 0;  // 0: the file system fills the disk, no table
  Offset offset;
  Size length;
  std::string filesystem;
  std::string label;
  std::string uuid;
  // ext4 that can be edited: no journal recovery needed, no recorded errors, no feature that libext2fs does not keep
  // consistent (quota, mmp, …), and no folder for first-boot edits that is a link to nowhere.
  bool clean = false;
};

struct ImageFacts {
  std::string table;  // "gpt", "dos", or empty
  std::string disk_guid;
  std::uint32_t sector_size = 512;  // that the table was written for; 512 where there is no table
  std::vector<PartitionFacts> partitions;
  std::optional<RootFacts> root;
  std::optional<std::string> architecture;  // "x86_64", "aarch64", …: from the root partition's type or an ELF file in it
  std::vector<std::string> firmware;        // of "bios", "uefi"
  std::optional<bool> cloud_init;           // installed in the root file system, and reads a NoCloud seed in it
  std::map<std::string, std::string> os_release;
  // Versions of those in the root file system, newest first: of /boot/vmlinuz-*, else (a /boot of its own) /lib/modules/*.
  std::vector<std::string> kernels;
  // Why its ids cannot be changed (id_mentions.h); empty: they can. Nothing: it was not looked for.
  std::optional<std::vector<std::string>> fixed_ids;
  std::uint32_t fixed_ids_by = 0;  // by which version of the look (kIdSearch); 0: nobody knows
  // What copies of it must not share (lint.h). Nothing: it was not looked for, which inspect() does not, or could not be.
  std::optional<std::vector<Finding>> lint;
};

// Inspects a disk image or a block device (opened read-only). A GPT is looked for at 512 and at 4096 bytes a sector.
// The root partition is found by GPT type (discoverable partitions: x86-64, arm64, …), else by label ("root", "rootfs",
// "cloudimg-rootfs"), else it is the only ext4 file system that holds /etc/os-release or /usr/lib/os-release.
// A damaged table or file system is not an error: what cannot be told is left out. Errors: usage, read_failed.
// Without `ids` it is not looked for what mentions them, which takes long: `fixed_ids` stays empty.
Result<ImageFacts> inspect(const std::filesystem::path& path, bool ids = true);
// That look alone: what `fixed_ids` of the same disk's facts is. Errors: usage.
Result<std::vector<std::string>> find_fixed_ids(const std::filesystem::path& path, const ImageFacts& facts);

// Where on a disk something may be: the blocks in use of its ext2/3/4 (but Ext4::idle()) and FAT file systems, and all of
// its other partitions but for swap. And where nothing is, by the word of those of them that are sound and were unmounted.
// Each in order. A disk without a partition table counts as one partition; of one on which nothing is known both are empty.
// Memory: three times 16 bytes for a range; kMostFreeRanges of a file system at most, of one with more all of it counts as
// used.
struct DiskUse {
  std::vector<Range> used;
  std::vector<Range> free;
  std::vector<Range> off_grid;  // off_grid.h; apart
};
// Errors: usage, read_failed.
Result<DiskUse> disk_use(const std::filesystem::path& path);

// Something that libblkid knows, on the whole disk or in one of its partitions.
struct Found {
  unsigned partition = 0;  // 0: the whole disk
  Offset offset;           // of the disk or partition
  Size length;
  std::string type;   // libblkid's TYPE: "ext4", "LVM2_member", "linux_raid_member", "zfs_member", …
  std::string usage;  // "filesystem" (also ZFS), "raid" (also LVM, bcache), "crypto", "other"
  std::string label;  // of a ZFS member its pool
  std::string uuid;
  // A RAID's, a volume group's, a pool's or an encrypted volume's: it belongs to something that is not seen here.
  bool is_member() const { return usage == "raid" || usage == "crypto" || type == "zfs_member"; }
};

// What libblkid sees on a disk that should be overwritten: nothing at all, or a name for it.
struct Content {
  bool blank = true;  // no signature known, and the first and last MiB are zeros
  std::string
      description;  // "gpt partition table, 2 partitions: vfat, ext4 'root'", "ext4 file system 'data'", "unknown data"
  std::string disk_guid;     // GPT or MBR id, or the whole-disk file system's UUID
  std::vector<Found> found;  // in the order of the disk; the table itself is not among them
};
Result<Content> probe_content(int fd, Size size);

}  // namespace stampede::volume

// Edits an unmounted ext2/3/4 file system in place through libext2fs. One object per file system; not thread-safe.
//
// Paths are absolute within the file system and may pass through symbolic links. What is written has owner root and the
// given mode; parents are made with 0755. Nothing is durable before close().
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/range.h"
#include "src/base/units.h"
#include "src/volume/block_access.h"

namespace stampede::volume {

// Whose some ranges of the disk are.
struct Owner {
  enum class Kind {
    named,     // of something with a path: its content, its extended attributes, where its blocks are
    metadata,  // superblocks, bitmaps, inodes, the journal, and what has no name (any more)
    free,
  };
  Kind kind = Kind::named;
  std::string path;  // the first of several; of a folder with a slash at its end
  std::vector<Range> ranges;
};

class Ext4 {
 public:
  // The file system starts at `offset` of `blocks`, which must outlive this object. Refuses one that needs journal recovery
  // or has recorded errors (cannot_customise).
  static Result<Ext4> open(BlockAccess& blocks, Offset offset, bool writable);
  // The same, read-only, and of an unclean one too: what it says may then be out of date.
  static Result<Ext4> look(BlockAccess& blocks, Offset offset);
  Ext4(Ext4&&) noexcept;
  Ext4& operator=(Ext4&&) noexcept;
  ~Ext4();  // without close(): nothing more is written, what was buffered may be lost

  bool exists(std::string_view path) const;
  // What the last name of a path is itself, a symbolic link not followed.
  enum class Kind { none, file, folder, link, other };
  Result<Kind> kind(std::string_view path) const;
  // Of a regular file, a symbolic link followed.
  Result<Size> size(std::string_view path) const;
  // A regular file's content. Errors: not_found, read_failed (also where it is larger than `limit`).
  Result<Bytes> read(std::string_view path, Size limit) const;
  // Names in a folder, without "." and "..".
  Result<std::vector<std::string>> list(std::string_view path) const;
  // The blocks in use, by the file system's own word: in order, neighbours joined. Memory: a bit for each block.
  Result<std::vector<Range>> used() const;
  // The other blocks of it. An error too (read_failed) where its bitmaps and what else it says of its free blocks do not
  // agree.
  Result<std::vector<Range>> unused() const;
  // Of those in use, what holds nothing of any file: the journal, and room for inodes of which none was ever used. In order.
  Result<std::vector<Range>> idle() const;
  // Whose these ranges (of the disk; in order, apart from each other) are, as far as they lie in the file system. In no
  // order; those with a path first. Walks all inodes, and all folders. Errors: read_failed, also where folders form a
  // circle.
  Result<std::vector<Owner>> owners(std::span<const Range> ranges) const;
  // When it was mounted last, in seconds since 1970; 0: never.
  std::int64_t last_mounted() const;
  // What is edited from now on bears the time at which the file system was written last, instead of the clock's: the same
  // edits of the same disk make the same disk.
  void keep_time();

  // Makes a regular file and its missing parents, or replaces what a regular file holds (also through a symbolic link; one
  // to nowhere is itself replaced). Errors: cannot_customise where something else is in the way; no_space, write_failed,
  // after which close() refuses.
  Result<> write(std::string_view path, ByteView content, unsigned mode);
  // Replaces what a regular file holds by as many bytes, in the same blocks; owner, mode and links stay. Errors as write().
  Result<> overwrite(std::string_view path, ByteView content);
  // Removes a file or symbolic link; no error if it is missing.
  Result<> remove(std::string_view path);
  // The same, of a folder too with all in it, and nothing stays in the blocks of files that had no other name. Errors: also
  // cannot_customise, where there is too much of it.
  Result<> erase(std::string_view path);
  // Erases all that a folder holds. Error: also not_found.
  Result<> clear(std::string_view folder);
  // Replaces what a regular file holds, of which nothing stays in its blocks; owner, mode and links stay. Errors as write().
  Result<> rewrite(std::string_view path, ByteView content);
  // Writes the superblock and bitmaps, flushes the device. Errors: write_failed, no_space, flush_failed.
  Result<> close();

 private:
  struct State;
  explicit Ext4(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace stampede::volume

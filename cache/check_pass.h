// How far a check of a store's packs has come, kept in a file between one run and the next: an interrupted check goes on
// where it was, and a share of the packs' data is another one each time. Not for other rooms.
//
// Little-endian, fixed width:
//   0   8  magic "STMPPASS"
//   8   2  version = 1     10  6  zero
//   16  8  when the pass began (seconds since 1970)
//   24     a pack each, 72 bytes, strictly ascending by name:
//            0 32  its name: the SHA-256 of its footer
//           32  8  inode     40  8  size     48  8  modified     56  8  changed (nanoseconds since 1970)
//           64  8  up to where its records were read and found sound; the highest bit: damage was found in it
//   then 8  XXH3-64 (seed 0) of all before
// A file that is anything else is a pass that has not begun.
#pragma once

#include <filesystem>
#include <map>

#include "cache/pack.h"
#include "src/base/seams.h"

namespace stampede::cache {

class CheckPass {
 public:
  // What the file holds; a new pass, begun `now`, where there is none or it cannot be used.
  static CheckPass load(const std::filesystem::path& file, UnixTime now);
  // Error: content_altered.
  static Result<CheckPass> decode(ByteView bytes);
  Bytes encode() const;

  UnixTime began() const { return began_; }
  bool is_new() const { return read_.empty(); }
  // From where the pack is still to be read. One that has changed, or in which damage was found, from its start.
  Offset begin_of(const Pack& pack) const;
  // Whether no damage was found in it.
  bool is_sound(const Pack& pack) const;
  // Up to `end` it has been read, and is sound or not. One that is not is read again every time, until it is.
  void note(const Pack& pack, Offset end, bool sound);
  void restart(UnixTime now);
  // Of packs that are not in the (sorted) list nothing is kept: 72 bytes for each that is.
  void keep_only(const std::vector<std::filesystem::path>& packs);

 private:
  struct Read {
    FileStamp stamp;
    Offset end;
    bool sound = true;
  };
  explicit CheckPass(UnixTime began) : began_(began) {}
  UnixTime began_;
  std::map<chunker::Sha256, Read> read_;
};

}  // namespace stampede::cache

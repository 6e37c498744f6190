// A spool: the raw disk that an image of another format becomes, so that it is inspected and packaged as a raw file is. A
// sparse file without a name in the store's folder; it goes when its last user closes it, also where the process is killed.
//
// What fills it may come from hostile bytes, so it is bounded twice: by the size of the disk, and by what the file system
// has left. One thread.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "src/base/bytes.h"
#include "src/base/file.h"

namespace stampede::formats {

struct SpoolLimits {
  // Of the disk, holes too: what is larger is refused, before anything is written where its size is declared first.
  Size max_size = {1ULL << 44};
  // What the file system keeps free at least; nothing: a twentieth of it, 1 GiB at most.
  std::optional<Size> reserve = {};
};

class Spool {
 public:
  // Written in parts of this size.
  static constexpr Size kPart = 1_MiB;
  // Blocks of zeros, at this alignment of the disk, are left as holes.
  static constexpr Size kBlock = 4_KiB;

  // `name`: of what is unpacked into it; errors say it. Errors: usage, where `folder` cannot hold files; no_space,
  // read_only.
  static Result<Spool> make(const std::filesystem::path& folder, std::string name, const SpoolLimits& limits);

  // The disk's size, where it is known before its content: what is written beyond it is refused then, and what is not
  // written is a hole, also at the end. Error: usage, where it is larger than the limit.
  Result<> declare(Size size);

  // The next bytes of the disk. Errors: usage, beyond the declared size or the limit; no_space, write_failed.
  Result<> write(ByteView bytes);
  // The next bytes are zeros. Costs nothing. Errors: as of write().
  Result<> skip(Size length);

  const std::string& name() const { return file_.name(); }
  // How much of the disk was written and skipped.
  Size position() const { return position_; }
  // How much of that went into the file.
  Size stored() const { return stored_; }

  // The raw disk: as large as declared, or else as what was written and skipped, a hole at its end included. Readable and
  // writable; File::path() is what others in this process open. It may be longer in memory than on disk: not flushed.
  Result<File> finish() &&;

 private:
  Spool(File file, const SpoolLimits& limits, Size reserve) : file_(std::move(file)), limits_(limits), reserve_(reserve) {}
  Result<> check_fits(Size length) const;
  Result<> store(Offset at, ByteView bytes);
  Result<> store_run(Offset at, ByteView bytes);
  Result<> flush();

  File file_;
  SpoolLimits limits_;
  Size reserve_;
  std::optional<Size> declared_;
  Size position_;  // including what is still in part_
  Bytes part_;     // written but not yet stored: less than kPart, ends at position_
  Size stored_;
  Size unchecked_ = {};  // stored since the file system was last asked for its free space
};

}  // namespace stampede::formats

// The open disk, read and written synchronously and byte by byte: O_DIRECT's edges are read, changed and written back
// through one aligned buffer. For the few bytes that do not go through the ring. Thread-safe.
#pragma once

#include <mutex>

#include "src/base/aligned.h"
#include "src/disk/faults.h"
#include "src/disk/guard.h"

namespace stampede::disk {

class RawDisk {
 public:
  explicit RawDisk(GuardedDisk disk, Faults faults = {});

  const GuardedDisk& guarded() const { return disk_; }
  const std::string& path() const { return disk_.identity.path; }
  Size size() const { return disk_.identity.size; }
  int fd() const { return disk_.file.fd(); }
  // A part of a file's last block, written as a whole block, leaves the file too long.
  Result<> trim();

  // The range must lie on the disk: beyond its end is an internal error. Others: read_failed, write_failed, no_space.
  Result<> read(Offset at, MutableBytes out);
  Result<> write(Offset at, ByteView bytes);
  // Errors: flush_failed.
  Result<> flush();
  // Without O_DIRECT a read would come from the page cache and prove nothing: what is clean of it is let go of.
  void drop_cache();
  // Has the kernel look for partitions again, where the disk can have them. No error: the disk is whole without it.
  void announce_table();
  Result<std::unique_ptr<Reader>> reader() const;
  // For those who change the disk by other calls of their own.
  Fault fault(const Operation& operation) const { return fault_of(faults_, operation); }

 private:
  Result<> check_inside(Offset at, std::size_t size) const;
  Result<> read_blocks(std::uint64_t at, MutableBytes out);
  Result<> write_piece(std::uint64_t at, ByteView bytes);

  ssize_t move(Operation::Kind kind, std::uint64_t at, MutableBytes bytes);

  GuardedDisk disk_;
  const Faults faults_;
  std::mutex mutex_;
  AlignedMemory bounce_;
};

// The error for a failed read or write of the disk: no_space where errno says so, else `code`.
Error io_error(Code code, std::string_view path, std::uint64_t at, int error_number);

}  // namespace stampede::disk

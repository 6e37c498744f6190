// A part of a disk under construction as a file for programs such as resize2fs: what they read and write goes through
// BlockAccess, held-back sectors too. By FUSE; libfuse's home. Needs root and /dev/fuse.
//
// The file has no name: its file system is detached as soon as it is open, so nothing stays mounted whatever becomes of this
// process, and a program that still runs then gets errors.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "src/base/file.h"
#include "src/volume/block_access.h"

struct fuse_session;

namespace stampede::volume {

class ServedBlocks {
 public:
  // `blocks` outlives it and is used by its thread alone meanwhile. Error: cannot_customise where FUSE cannot be had.
  static Result<std::unique_ptr<ServedBlocks>> serve(BlockAccess& blocks, Offset at, Size length);
  // Programs that have the file open must have ended.
  ~ServedBlocks();
  ServedBlocks(const ServedBlocks&) = delete;
  ServedBlocks& operator=(const ServedBlocks&) = delete;

  const File& file() const { return file_; }
  // What programs have written has gone through `blocks`, and what is read from now on comes from there. Errors: the first
  // of `blocks`, which programs tell of as an I/O error at most.
  Result<> settle();

  // For the file system's operations.
  Size size() const { return length_; }
  Result<> read(std::uint64_t offset, MutableBytes out);
  Result<> write(std::uint64_t offset, ByteView bytes);
  Result<> flush();

 private:
  ServedBlocks(BlockAccess& blocks, Offset at, Size length) : blocks_(blocks), at_(at), length_(length) {}
  Result<> mount();
  Result<> note(Result<> done);
  std::optional<Error> failure() const;

  BlockAccess& blocks_;
  const Offset at_;
  const Size length_;
  fuse_session* session_ = nullptr;
  File file_;
  mutable std::mutex mutex_;
  std::optional<Error> failure_;
  bool detached_ = false;
  std::thread thread_;
};

// Can it be had here? Error: cannot_customise.
Result<> check_can_serve();

}  // namespace stampede::volume

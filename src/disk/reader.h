// Reads a disk beside its target.
#pragma once

#include <memory>

#include "src/base/file.h"
#include "src/disk/engine.h"

namespace stampede::disk {

// For one thread at a time.
class Reader {
 public:
  virtual ~Reader() = default;
  // As File::read_some_at.
  virtual Result<std::size_t> read_some_at(Offset offset, MutableBytes out) const = 0;
  // Much is going to be read into this memory, which outlives the reader, by the calling thread: where the kernel can keep
  // it mapped, that takes less time.
  virtual void will_read_into(MutableBytes /*memory*/) {}
};

// Into memory that it was told of it reads through io_uring, which need not pin its pages anew each time: reading with
// O_DIRECT took twice as long by pread(2).
class FileReader final : public Reader {
 public:
  // `alignment`: what O_DIRECT wants of offsets; what is not so is read through memory of the reader's own.
  explicit FileReader(File file, std::uint32_t alignment = 1) : file_(std::move(file)), alignment_(alignment) {}
  Result<std::size_t> read_some_at(Offset offset, MutableBytes out) const override;
  void will_read_into(MutableBytes memory) override;

 private:
  bool read_all(Offset offset, MutableBytes out) const;
  Result<std::size_t> read_unaligned(Offset offset, MutableBytes out) const;

  const File file_;
  const std::uint32_t alignment_;
  MutableBytes memory_;
  std::unique_ptr<Engine> engine_;
  mutable bool failed_ = false;  // a disk that does so takes long enough as it is: it is not asked twice any more
};

}  // namespace stampede::disk

// Reads a disk beside its target.
#pragma once

#include "src/base/file.h"

namespace stampede::disk {

// For one thread at a time.
class Reader {
 public:
  virtual ~Reader() = default;
  // As File::read_some_at.
  virtual Result<std::size_t> read_some_at(Offset offset, MutableBytes out) const = 0;
};

class FileReader final : public Reader {
 public:
  explicit FileReader(File file) : file_(std::move(file)) {}
  Result<std::size_t> read_some_at(Offset offset, MutableBytes out) const override {
    return file_.read_some_at(offset, out);
  }

 private:
  const File file_;
};

}  // namespace stampede::disk

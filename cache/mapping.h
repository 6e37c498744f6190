// A part of a file mapped for reading. The file must not shrink while it is mapped: only closed packs are mapped.
#pragma once

#include "src/base/file.h"

namespace stampede::cache {

class Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&& other) noexcept
      : base_(std::exchange(other.base_, nullptr)), size_(other.size_), bytes_(std::exchange(other.bytes_, {})) {}
  Mapping& operator=(Mapping&&) = delete;
  ~Mapping();

  // Errors: read_failed.
  static Result<Mapping> map(const File& file, Offset offset, Size size);
  ByteView bytes() const { return bytes_; }

 private:
  void* base_ = nullptr;  // page-aligned, at or before the bytes
  std::size_t size_ = 0;
  ByteView bytes_;
};

}  // namespace stampede::cache

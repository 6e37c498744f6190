// Memory for O_DIRECT: page-aligned, mapped apart from the heap, given back to the kernel at the end of its life. Reads as
// zeros until it is written to.
#pragma once

#include <cstddef>
#include <utility>

#include "src/base/bytes.h"

namespace stampede {

class AlignedMemory {
 public:
  AlignedMemory() = default;
  // Aborts where there is no memory, as new does in this project.
  explicit AlignedMemory(std::size_t size);
  AlignedMemory(AlignedMemory&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  AlignedMemory& operator=(AlignedMemory&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~AlignedMemory();

  MutableBytes bytes() const { return bytes_; }

 private:
  MutableBytes bytes_;
};

}  // namespace stampede

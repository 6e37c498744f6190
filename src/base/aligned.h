// Memory that is mapped apart from the heap, in huge pages where it reaches: for O_DIRECT, and for large vectors.
#pragma once

#include <cstddef>
#include <utility>

#include "src/base/bytes.h"

namespace stampede {

// Page-aligned, given back to the kernel at the end of its life. Reads as zeros until it is written to.
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

// Memory of whole huge pages where it is as much as one or more; else from the heap. Aborts where there is none.
void* allocate_huge(std::size_t size);
void free_huge(void* memory, std::size_t size) noexcept;

// For what is large and looked at here and there: with small pages, finding them takes longer than what is looked at.
template <class T>
struct HugePages {
  using value_type = T;  // NOLINT(readability-identifier-naming): the standard calls it so
  HugePages() = default;
  template <class Other>
  HugePages(const HugePages<Other>& /*other*/) {}  // NOLINT(google-explicit-constructor): as allocators are
  T* allocate(std::size_t count) { return static_cast<T*>(allocate_huge(count * sizeof(T))); }
  void deallocate(T* memory, std::size_t count) noexcept { free_huge(memory, count * sizeof(T)); }
  bool operator==(const HugePages&) const = default;
};

}  // namespace stampede

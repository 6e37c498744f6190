#include "src/base/aligned.h"

#include <sys/mman.h>

#include <cstdlib>

namespace stampede {

AlignedMemory::AlignedMemory(std::size_t size) {
  if (size == 0) return;
  void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  // Fewer page faults, and fewer pages to pin, for what is used in megabytes.
  ::madvise(memory, size, MADV_HUGEPAGE);
  bytes_ = {static_cast<std::byte*>(memory), size};
}

AlignedMemory::~AlignedMemory() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

}  // namespace stampede

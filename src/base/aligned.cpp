#include "src/base/aligned.h"

#include <sys/mman.h>

#include <cstdlib>
#include <new>

namespace stampede {

namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

// Fewer page faults, and fewer pages to pin and to find, for what is used in megabytes.
void* map(std::size_t size) {
  void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  ::madvise(memory, size, MADV_HUGEPAGE);
  return memory;
}

}  // namespace

AlignedMemory::AlignedMemory(std::size_t size) {
  if (size > 0) bytes_ = {static_cast<std::byte*>(map(size)), size};
}

AlignedMemory::~AlignedMemory() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

void* allocate_huge(std::size_t size) { return size < kHugePage ? ::operator new(size) : map(size); }

void free_huge(void* memory, std::size_t size) noexcept {
  if (size < kHugePage)
    ::operator delete(memory);
  else
    ::munmap(memory, size);
}

}  // namespace stampede

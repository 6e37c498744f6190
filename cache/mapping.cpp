#include "cache/mapping.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace stampede::cache {

Mapping::~Mapping() {
  if (base_ != nullptr) ::munmap(base_, size_);
}

Result<Mapping> Mapping::map(const File& file, Offset offset, Size size) {
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const std::uint64_t begin = round_down(offset.bytes, page);
  const std::size_t length = offset.bytes + size.bytes - begin;
  void* const base = ::mmap(nullptr, length, PROT_READ, MAP_SHARED, file.fd(), static_cast<off_t>(begin));
  if (base == MAP_FAILED) return fail(Code::read_failed, "cannot map {}: {}", file.name(), errno_text(errno));
  Mapping mapping;
  mapping.base_ = base;
  mapping.size_ = length;
  mapping.bytes_ = ByteView(static_cast<const std::byte*>(base), length).subspan(offset.bytes - begin);
  return mapping;
}

}  // namespace stampede::cache

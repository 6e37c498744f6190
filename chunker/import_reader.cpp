#include "chunker/import_reader.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <vector>

#include "chunker/types.h"

namespace stampede::chunker {
namespace {

// Less is not worth a request of its own.
constexpr std::size_t kLeastDirect = 64UL << 10;

}  // namespace

ImportReader::ImportReader(const File& file, Size size) : file_(file), size_(size.bytes) {
  auto direct = File::open(fmt::format("/proc/self/fd/{}", file.fd()), O_RDONLY | O_DIRECT);
  if (!direct || size_ == 0) return;
  void* const memory = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED | MAP_NORESERVE, file.fd(), 0);
  if (memory == MAP_FAILED) return;
  mapped_ = static_cast<std::byte*>(memory);
  direct_ = *std::move(direct);
}

ImportReader::~ImportReader() {
  if (mapped_ != nullptr) ::munmap(mapped_, size_);
}

Result<> ImportReader::read(Offset at, MutableBytes out) const {
  const std::size_t whole = round_down(out.size(), kBlock.bytes);
  if (mapped_ != nullptr && whole >= kLeastDirect && !is_in_memory(at, whole)) {
    // What goes wrong is told when it is asked in the usual way.
    if (const auto got = direct_.read_some_at(at, out.first(whole)); got && *got == whole) {
      at += Size{whole};
      out = out.subspan(whole);
    }
  }
  // All of it at once, not in the small steps in which the kernel reads ahead. Only a hint.
  if (!out.empty())
    (void)::posix_fadvise(file_.fd(), static_cast<off_t>(at.bytes), static_cast<off_t>(out.size()), POSIX_FADV_WILLNEED);
  return file_.read_at(at, out);
}

// Most of it.
bool ImportReader::is_in_memory(Offset at, std::size_t length) const {
  std::vector<unsigned char> pages(length / kBlock.bytes + 1);
  if (at.bytes > size_ || length > size_ - at.bytes || ::mincore(mapped_ + at.bytes, length, pages.data()) != 0) return true;
  const auto resident = std::ranges::count_if(pages, [](unsigned char page) { return (page & 1U) != 0; });
  return static_cast<std::size_t>(resident) * 2 >= length / kBlock.bytes;
}

}  // namespace stampede::chunker

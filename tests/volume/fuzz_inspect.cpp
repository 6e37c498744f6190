#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

#include "src/base/file.h"
#include "src/volume/inspect.h"

using namespace stampede;

// The input stands at the start and at the end of a small disk, whose middle reads as zeros.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const File disk(::memfd_create("fuzz", MFD_CLOEXEC), "fuzz");
  const ByteView bytes = std::as_bytes(std::span(data, size));
  constexpr std::uint64_t kGap = 256 * 1024;
  if (!disk || !disk.truncate({size * 2 + kGap}) || !disk.write_at({}, bytes) || !disk.write_at({size + kGap}, bytes))
    return 0;
  if (!volume::inspect(fmt::format("/proc/self/fd/{}", disk.fd()))) std::abort();
  std::ignore = volume::probe_content(disk.fd(), {size * 2 + kGap});
  return 0;
}

#include <sys/mman.h>
#include <unistd.h>

#include <tuple>

#include "src/unpack/stream.h"

using namespace stampede;

// The first byte says how the rest is packed.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static const File file(::memfd_create("fuzz", MFD_CLOEXEC), "fuzz");
  if (!file.truncate({}) || !file.write_at({}, std::as_bytes(std::span(data + 1, size - 1)))) return 0;
  ::lseek(file.fd(), 0, SEEK_SET);
  auto stream = unpack::open_stream(file, static_cast<unpack::Packing>(data[0] % 4));
  if (!stream) return 0;
  Bytes part(65536);
  for (std::size_t all = 0; all < (8U << 20);) {
    const auto got = (*stream)->read(part);
    if (!got || *got == 0) break;
    all += *got;
  }
  return 0;
}

// A physical volume of any bytes gives no group, or one with an id of its length.
#include <cstdlib>
#include <cstring>

#include "src/disk/lvm_label.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stampede;
  const ByteView volume = std::as_bytes(std::span(data, size));
  const auto group = disk::find_volume_group([&](Offset at, MutableBytes out) {
    if (at.bytes > size || out.size() > size - at.bytes) return false;
    std::memcpy(out.data(), volume.data() + at.bytes, out.size());
    return true;
  });
  if (group && group->id.size() != 32) std::abort();
  return 0;
}

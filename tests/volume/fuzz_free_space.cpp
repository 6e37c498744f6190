#include <tuple>

#include "src/volume/domain_map.h"
#include "src/volume/fat.h"
#include "src/volume/lvm.h"
#include "src/volume/settled.h"
#include "src/volume/swap.h"
#include "tests/volume/images.h"

using namespace stampede;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes = std::as_bytes(std::span(data, size));
  std::ignore = volume::decode_domain_map(as_text(bytes), {1 << 20}, {1 << 30});
  std::ignore = volume::free_extents_of(as_text(bytes), "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", {1 << 20}, {1 << 30});
  volume::MemoryBlocks blocks(copy(bytes));
  for (const char* kind : {"xfs", "btrfs", "ntfs"}) std::ignore = volume::check_settled(blocks, {}, blocks.size(), kind);
  std::ignore = volume::swapped_out(blocks, {}, blocks.size());
  if (const auto fat = volume::Fat::open(blocks, {}, blocks.size())) std::ignore = fat->unused();
  std::ignore = volume::free_extents(blocks, {}, blocks.size());
  return 0;
}

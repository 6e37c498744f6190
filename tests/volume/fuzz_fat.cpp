#include <cstdlib>
#include <tuple>

#include "src/volume/off_grid.h"
#include "src/volume/packed.h"
#include "tests/volume/images.h"

using namespace stampede;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes = std::as_bytes(std::span(data, size));
  volume::MemoryBlocks blocks(copy(bytes));
  const volume::NewIds ids{{"aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "99999999-0000-4000-8000-000000000000"}};
  std::ignore = volume::packed_mentions(bytes, ids);
  auto fat = volume::Fat::open(blocks, {}, blocks.size());
  if (!fat) return 0;
  const auto files = fat->files();
  if (!files) return 0;
  Offset end;
  for (const auto& piece : volume::off_grid_of(*fat, blocks.size())) {
    if (piece.at < end) std::abort();
    end = piece.end();
  }
  for (const auto& file : *files)
    if (const auto content = fat->read(file, 1_MiB)) std::ignore = fat->overwrite(file, *content);
  for (std::size_t i = 0; i < files->size() && i < 20; ++i) std::ignore = fat->remove((*files)[i]);
  return 0;
}

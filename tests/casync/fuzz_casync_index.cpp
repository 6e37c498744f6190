#include <algorithm>
#include <cstdlib>

#include "src/casync/index.h"

// An index that is taken covers its image from the first byte to the last, chunk by chunk, none longer than it says.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stampede;
  const auto index = casync::Index::decode(copy(std::as_bytes(std::span(data, size))));
  if (!index) return 0;
  Offset at;
  ByteWriter again;
  casync::encode_head(again, index->head());
  for (std::size_t i = 0; i < index->count(); ++i) {
    const casync::Chunk chunk = index->chunk(i);
    if (chunk.offset != at || chunk.length < 1_B || chunk.length > index->head().greatest) std::abort();
    at += chunk.length;
    casync::encode_item(again, at, chunk.id);
  }
  casync::encode_tail(again, index->count());
  if (at.bytes != index->image_size().bytes) std::abort();
  if (!std::ranges::equal(again.take(), std::as_bytes(std::span(data, size)))) std::abort();
  return 0;
}

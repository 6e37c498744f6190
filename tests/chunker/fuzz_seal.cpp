#include <cstdlib>

#include "chunker/seal.h"

// Hostile sealed bytes: whatever is in them, opening must end in an error, for the id is of nothing.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stampede;
  static chunker::Opener opener;
  static Bytes out(chunker::kMaxChunk.bytes);
  ByteReader in(std::as_bytes(std::span(data, size)));
  chunker::UntrustedChunk chunk;
  chunk.plain_size = in.u32() % (static_cast<std::uint32_t>(out.size()) + 1);
  chunk.codec = static_cast<chunker::Codec>(in.u8() % 3);
  chunk.sealed = in.view(in.left());
  if (opener.open(chunk, out)) std::abort();
  return 0;
}

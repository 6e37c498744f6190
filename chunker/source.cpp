#include "chunker/source.h"

namespace stampede::chunker {

Result<SealedSpan> ChunkSource::gather(std::span<const SpanChunk> chunks) {
  SealedSpan span;
  Bytes bytes;
  span.parts.reserve(chunks.size());
  for (const SpanChunk& wanted : chunks) {
    STAMPEDE_TRY(const SealedChunk chunk, get(wanted.id));
    if (chunk.plain_size != wanted.length)
      return fail(Code::content_altered, "chunk {} has {} bytes, not {}", to_string(wanted.id), chunk.plain_size,
                  wanted.length);
    span.parts.push_back({chunk.codec, static_cast<std::uint32_t>(chunk.bytes.size())});
    bytes.insert(bytes.end(), chunk.bytes.begin(), chunk.bytes.end());
  }
  span.bytes = Buffer(ByteView(bytes));
  return span;
}

std::vector<bool> ChunkSink::have(std::span<const ChunkId> ids) {
  std::vector<bool> out;
  out.reserve(ids.size());
  for (const ChunkId& id : ids) out.push_back(has(id));
  return out;
}

}  // namespace stampede::chunker

// Opens a sealed span and verifies each of its chunks.
#pragma once

#include "chunker/manifest.h"
#include "chunker/seal.h"
#include "chunker/source.h"
#include "src/base/error.h"

namespace stampede::deploy {

// The plain chunks come one after another into `out`, which has room for all of `span`; `take(chunk, where it belongs)` is
// called for each. The parts' sizes add up to the sealed bytes (the decoders see to it). Error: content_altered.
template <class Take>
Result<> open_span(chunker::Opener& opener, const chunker::Span& span, const chunker::SealedSpan& sealed, MutableBytes out,
                   Take take) {
  if (sealed.parts.size() != span.chunks.size())
    return fail(Code::content_altered, "span {} has {} chunks, not {}", sealed.index.value, span.chunks.size(),
                sealed.parts.size());
  ByteView bytes = sealed.bytes;
  for (std::size_t i = 0; i < span.chunks.size(); ++i) {
    const chunker::SpanChunk& expected = span.chunks[i];
    const auto& part = sealed.parts[i];
    const chunker::UntrustedChunk untrusted{expected.id, part.codec, expected.length, bytes.first(part.sealed_size)};
    STAMPEDE_TRY(const auto chunk, opener.open(untrusted, out.first(expected.length)));
    take(chunk, expected);
    bytes = bytes.subspan(part.sealed_size);
    out = out.subspan(expected.length);
  }
  return {};
}

}  // namespace stampede::deploy

// Opens a sealed span and verifies its chunks.
#pragma once

#include "chunker/manifest.h"
#include "chunker/seal.h"
#include "chunker/source.h"
#include "src/base/error.h"

namespace stampede::deploy {

// The plain chunks come one after another into `out`, which has room for all of `span`; `take(chunk, its number)` is called
// for each once all are verified. Not those of which `held(number)` is true: their parts may have been left out. The parts'
// sizes add up to the sealed bytes (the decoders see to it). Error: content_altered.
template <class Held, class Take>
Result<> open_span(chunker::Opener& opener, const chunker::Span& span, const chunker::SealedSpan& sealed, MutableBytes out,
                   Held held, Take take) {
  if (sealed.parts.size() != span.chunks.size())
    return fail(Code::content_altered, "span {} has {} chunks, not {}", sealed.index.value, span.chunks.size(),
                sealed.parts.size());
  std::vector<chunker::UntrustedChunk> untrusted;
  std::vector<std::size_t> numbers;
  ByteView bytes = sealed.bytes;
  for (std::size_t i = 0; i < span.chunks.size(); ++i) {
    const chunker::SpanChunk& expected = span.chunks[i];
    const auto& part = sealed.parts[i];
    if (!held(i)) {
      untrusted.push_back({expected.id, part.codec, expected.length, bytes.first(part.sealed_size)});
      numbers.push_back(i);
    }
    bytes = bytes.subspan(part.sealed_size);
  }
  STAMPEDE_TRY(const auto chunks, opener.open(untrusted, out));
  for (std::size_t i = 0; i < chunks.size(); ++i) take(chunks[i], numbers[i]);
  return {};
}

}  // namespace stampede::deploy

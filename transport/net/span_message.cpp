#include "transport/net/span_message.h"

namespace stampede::net {

std::vector<wire::SpanPart> parts_of(const chunker::SealedSpan& span) {
  std::vector<wire::SpanPart> parts;
  parts.reserve(span.parts.size());
  for (const auto& part : span.parts) parts.push_back({static_cast<std::uint8_t>(part.codec), part.sealed_size});
  return parts;
}

chunker::SealedSpan sealed_span(wire::SpanData data) {
  chunker::SealedSpan span;
  span.index = {data.span};
  span.parts.reserve(data.parts.size());
  for (const auto& part : data.parts) span.parts.push_back({static_cast<chunker::Codec>(part.codec), part.sealed_size});
  span.bytes = std::move(data.bytes);
  return span;
}

}  // namespace stampede::net

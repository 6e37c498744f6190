// A sealed span as the wire has it, and back.
#pragma once

#include <vector>

#include "chunker/source.h"
#include "transport/wire/messages.h"

namespace stampede::net {

std::vector<wire::SpanPart> parts_of(const chunker::SealedSpan& span);
// Takes the bytes over.
chunker::SealedSpan sealed_span(wire::SpanData data);

}  // namespace stampede::net

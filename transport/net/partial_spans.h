// Spans that somebody holds but for some chunks, as wire::Partial tells them: how a span is cut down to what he lacks. Loop
// thread only.
//
// Memory: 8 bytes a run, at most kMaxChunkRuns.
#pragma once

#include <memory>

#include "chunker/source.h"
#include "transport/wire/messages.h"

namespace stampede::net {

class PartialSpans {
 public:
  PartialSpans() = default;
  // `lacks` in the order that Partial demands.
  explicit PartialSpans(std::vector<wire::ChunkRun> lacks) : lacks_(std::move(lacks)) {}

  bool empty() const { return lacks_.empty(); }
  const std::vector<wire::ChunkRun>& lacks() const { return lacks_; }
  // Of one span; none where no part of it is known to be held.
  std::span<const wire::ChunkRun> lacks_of(std::uint32_t span) const;
  // Do these parts of a span bring all that is lacking of it?
  bool are_enough(std::uint32_t span, std::span<const wire::SpanPart> parts) const;

  // `span` (of which parts may be left out already) as its holder may be sent it: what he has is left out. Nothing where a
  // part that he lacks is not there.
  std::shared_ptr<const chunker::SealedSpan> cut(std::shared_ptr<const chunker::SealedSpan> span) const;

 private:
  std::vector<wire::ChunkRun> lacks_;
};

}  // namespace stampede::net

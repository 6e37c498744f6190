// What a stream brings of each span: only the chunks that somebody who listens lacks. Loop thread only.
//
// It is decided when the span is first read, and stays so as long as there is the stream: receivers put together symbols of
// several times that a span was sent, and repair has to be of the same frame. Who lacks more than was decided (he has come
// later) gets the span from others.
//
// Memory: a bit for each span, and 8 bytes for each run of chunks that some who listened lacked.
#pragma once

#include <map>
#include <vector>

#include "src/base/bitmap.h"
#include "transport/net/partial_spans.h"

namespace stampede::service {

class StreamCuts {
 public:
  explicit StreamCuts(std::uint32_t span_count) : decided_(span_count) {}

  bool is_decided(std::uint32_t span) const { return decided_.test(span); }
  // Once for each span: `lacking` are those who lack it, or a part of it. None: all of it is sent.
  void decide(std::uint32_t span, const std::vector<const net::PartialSpans*>& lacking);
  // With what is sent of it: cut() the span down to that.
  net::PartialSpans of(std::uint32_t span) const;
  // The spans that do not bring all that one with these parts lacks, and that he lacks at all.
  std::vector<std::uint32_t> too_little_for(const net::PartialSpans& parts, const Bitmap& have) const;

 private:
  Bitmap decided_;
  std::map<std::uint32_t, std::vector<wire::ChunkRun>> cut_;  // others are sent whole
};

}  // namespace stampede::service

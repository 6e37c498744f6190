// One image's swarm as the depot sees it: the manifest, the spans to serve, who takes part, and the origin's state machine.
// Loop thread only.
#pragma once

#include <map>
#include <memory>

#include "cache/store.h"
#include "transport/net/connection.h"
#include "transport/swarm/origin.h"

namespace stampede::service {

class SwarmRoom {
 public:
  static Result<std::shared_ptr<SwarmRoom>> open(cache::Store& store, const chunker::ImageId& image);

  struct Member {
    wire::Member listed;  // port 0: does not serve
    net::Connection::Ptr connection;
  };

  // Admits a member that holds `join.have`; an older one of the same key is closed (the machine has started anew). Error:
  // protocol, where the join does not fit the image.
  Result<swarm::MemberId> join(const wire::Join& join, Member member);
  void leave(swarm::MemberId member);
  swarm::Origin& origin() { return origin_; }
  chunker::SpanSource& spans() { return *spans_; }
  std::uint32_t span_count() const { return span_count_; }
  bool empty() const { return members_.empty(); }
  // Tells every member who else is there and was heard of lately, if that has changed since the last time. The more members
  // there are, the less often: a rack that joins at once costs a list for each a few times, not for each of each.
  void tell_members(Instant now);

 private:
  SwarmRoom(std::unique_ptr<chunker::SpanSource> spans, std::uint32_t span_count)
      : spans_(std::move(spans)), span_count_(span_count), origin_(span_count) {}
  wire::Members list_for(swarm::MemberId member, std::uint32_t active, Instant now) const;
  void evict(const wire::Key& node);

  std::unique_ptr<chunker::SpanSource> spans_;
  std::uint32_t span_count_;
  swarm::Origin origin_;
  std::map<swarm::MemberId, Member> members_;
  swarm::MemberId next_ = 1;
  bool changed_ = false;
  Instant next_tell_;
  std::uint32_t told_active_ = 0;
};

}  // namespace stampede::service

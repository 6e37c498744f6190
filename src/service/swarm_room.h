// One image's swarm as the depot sees it: the manifest, the spans to serve, who takes part, the origin's state machine, and
// the multicast streams, one for each interface that members come by. Loop thread only.
#pragma once

#include <map>
#include <memory>

#include "cache/store.h"
#include "src/service/cast_options.h"
#include "src/service/stream_cuts.h"
#include "src/service/worker.h"
#include "transport/net/caster.h"
#include "transport/net/connection.h"
#include "transport/swarm/origin.h"

namespace stampede::service {

class SwarmRoom {
 public:
  // Spans are read on `reader`, which outlives the room.
  static Result<std::shared_ptr<SwarmRoom>> open(cache::Store& store, const chunker::ImageId& image, Worker& reader);

  // Admits a member that holds `join.have`; an older one of the same key is closed (the machine has started anew). Error:
  // protocol, where the join does not fit the image.
  Result<swarm::MemberId> join(const wire::Join& join, wire::Member listed, net::Connection::Ptr connection);
  void leave(swarm::MemberId member);
  // From now on members are offered multicast.
  void cast(net::Loop& loop, CastOptions options, net::Caster::Coming coming);
  // It got a span, whatever way.
  void has(swarm::MemberId member, std::uint32_t span, Instant now);
  // Of what it lacks, it has all but this.
  void partial(swarm::MemberId member, wire::Partial news);
  // What it is to be sent of a span; nothing where there is nothing.
  std::shared_ptr<const chunker::SealedSpan> cut_for(swarm::MemberId member,
                                                     std::shared_ptr<const chunker::SealedSpan> span) const;
  void report(swarm::MemberId member, const wire::MulticastReport& report);
  std::vector<net::CastStatus> streams() const;
  swarm::Origin& origin() { return origin_; }
  // `give` is called on the loop later, or never where the depot ends; with nothing where the store cannot read the span (it
  // has said so).
  void read(std::uint32_t span, std::function<void(std::shared_ptr<const chunker::SealedSpan>)> give);
  std::uint32_t span_count() const { return span_count_; }
  bool empty() const { return members_.empty(); }
  // Tells every member who else is there and was heard of lately, if that has changed since the last time. The more members
  // there are, the less often: a rack that joins at once costs a list for each a few times, not for each of each.
  void tell_members(Instant now);

 private:
  struct Stream {
    std::unique_ptr<net::Caster> caster;
    StreamCuts cuts;
    // It has brought what was lacking, and all who listened were told so.
    bool is_over() const;
  };
  struct Member {
    wire::Member listed;  // port 0: does not serve
    net::Connection::Ptr connection;
    Bitmap have;
    net::PartialSpans partial;  // of the rest
    Stream* stream = nullptr;   // that it was offered
    bool listens = false;
    Instant next_report;  // earlier ones are dropped
  };
  SwarmRoom(std::shared_ptr<chunker::SpanSource> spans, std::uint32_t span_count, Worker& reader)
      : spans_(std::move(spans)), span_count_(span_count), reader_(reader), origin_(span_count) {}
  wire::Members list_for(swarm::MemberId member, std::uint32_t active, Instant now) const;
  void evict(const wire::Key& node);
  void offer(Member& member);
  void tell(swarm::MemberId member, wire::MulticastNews news);
  Stream* stream_on(unsigned interface, std::size_t mtu);
  // Nothing where the group cannot be had.
  std::unique_ptr<Stream> open_stream(unsigned interface, std::size_t mtu);
  // In place of one that is over; who has not listened to that one yet is offered this.
  void replace(std::unique_ptr<Stream>& there, std::unique_ptr<Stream> stream);
  net::PartialSpans cut_of(Stream& stream, std::uint32_t span) const;

  std::shared_ptr<chunker::SpanSource> spans_;  // what is being read may outlive the room
  std::uint32_t span_count_;
  Worker& reader_;
  swarm::Origin origin_;
  net::Loop* loop_ = nullptr;
  std::optional<CastOptions> cast_;
  net::Caster::Coming coming_;
  std::map<unsigned, std::unique_ptr<Stream>> streams_;  // by interface; nothing where it cannot be had
  std::map<swarm::MemberId, Member> members_;
  swarm::MemberId next_ = 1;
  bool changed_ = false;
  Instant next_tell_;
  std::uint32_t told_active_ = 0;
};

}  // namespace stampede::service

// The depot's sender of one image to one multicast group on one interface: runs the carousel, its rate and its pace on the
// loop, and seals and sends what they say.
//
// A member is offer()ed the stream, has joined when its first report comes, and is told news: how often to report, what it
// has to get elsewhere, and when this stream has nothing more for it. Members that stay far behind are told so and leave.
// Nothing is sent while nobody has joined or lacks anything. While it pauses otherwise (it waits for members, or for the
// store), a beacon every kBeacon, a sealed packet with sequence number 0 and nothing in it, tells members that the stream
// reaches them.
//
// Loop thread only. Memory: that of the carousel (transport/multicast/carousel.h).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "chunker/source.h"
#include "src/base/bitmap.h"
#include "transport/multicast/carousel.h"
#include "transport/multicast/rate.h"
#include "transport/net/datagram.h"
#include "transport/net/packet_seal.h"
#include "transport/wire/messages.h"

namespace stampede::net {

struct CastRoute {
  Endpoint group{"239.77.83.1", 7441};
  unsigned interface = 0;  // index; 0: the one that the routing table names
  unsigned ttl = 1;
  double rate = 117.5e6;    // bytes a second on the wire, at most
  bool fixed_rate = false;  // that and no less, whatever members report
  std::size_t mtu = 1500;   // bytes of an IP packet that pass to every member; that of a named interface is not exceeded
  // The stream starts when so many have joined, or `wait` after the first of them.
  std::uint32_t min_members = 1;
  Duration wait = std::chrono::seconds(30);
};

struct CastStatus {
  enum class Phase : std::uint8_t { waiting, sending, idle };  // waiting: for members, or for those on their way
  Endpoint group;
  unsigned interface = 0;
  Phase phase = Phase::idle;
  std::uint32_t members = 0;
  std::uint32_t wanted_members = 0;  // before it starts
  double rate = 0;                   // bytes a second on the wire that were sent of late
  double loss = 0;                   // share of the packets, at the member that the rate goes by
  std::uint32_t spans = 0;           // of the image
  std::uint32_t lacked = 0;          // that some member lacks
};

inline constexpr Duration kBeacon = std::chrono::milliseconds(150);
// Those who come one after another at the beginning would have to be sent again what went out before they joined, for which
// all others have no use: the stream starts when nobody is on his way any more, but no later than so long after the first
// joined, nor than the route's `wait` where it counts its members.
inline constexpr Duration kGather = std::chrono::milliseconds(1000);

class Caster {
 public:
  using MemberId = multicast::MemberId;
  using Tell = std::function<void(MemberId, const wire::MulticastNews&)>;
  // Asks for the frame of a span (frame_of), each once, in the order in which they are needed; up to multicast::kFrameMemory
  // of them are waited for. `give` is called on the loop, or never; with nothing where the span cannot be had.
  using Give = std::function<void(std::shared_ptr<const Bytes> frame)>;
  using Read = std::function<void(std::uint32_t span, Give give)>;
  // Is somebody on his way who will probably join? Asked while the stream may wait for him.
  using Coming = std::function<bool()>;

  // Errors: usage, where the group cannot be had there.
  static Result<std::unique_ptr<Caster>> open(Loop& loop, const CastRoute& route, std::uint32_t span_count, Read read,
                                              Tell tell, Coming coming);

  wire::MulticastOffer offer() const;
  // Bytes of its IP packets.
  std::size_t packet_size() const { return packet_size_ + header_size(route_.group); }
  // `have`: what it holds already; `elsewhere`: what of the rest this stream does not bring it. Joining again starts anew.
  void joined(MemberId member, Bitmap have, std::vector<std::uint32_t> elsewhere = {});
  void left(MemberId member);
  // It got a span, whatever way.
  void has(MemberId member, std::uint32_t span);
  void report(MemberId member, const wire::MulticastReport& report);
  multicast::Carousel::Figures figures() const { return carousel_.figures(); }
  CastStatus status() const;

 private:
  Caster(Loop& loop, const CastRoute& route, const multicast::Shape& shape, Read read, Tell tell, Coming coming,
         std::unique_ptr<GroupSender> sender);
  bool is_served(MemberId member) const;
  void wake();
  void pump();
  bool send_pending();
  // Until when nothing is sent because of those who are not there yet; nothing: it has started.
  std::optional<Instant> waits_for_members(Instant now);
  void rest_until(Instant when, Instant now);
  void seal(std::span<const multicast::Symbol> symbols);
  void fetch(std::span<const std::uint32_t> spans);
  void provide(std::uint32_t span, std::shared_ptr<const Bytes> frame);
  void follow_rate(Instant now);
  void tell_all_over();
  void dismiss(MemberId member, wire::StreamEnd end);
  void tell(MemberId member, std::vector<std::uint32_t> given_up, wire::StreamEnd end = wire::StreamEnd::none);

  CastRoute route_;
  multicast::Shape shape_;
  std::size_t packet_size_;  // a datagram
  std::size_t wire_size_;    // with the headers of all layers
  PacketKey key_;
  Read read_;
  Tell tell_;
  Coming coming_;
  std::unique_ptr<GroupSender> sender_;
  PacketSealer sealer_;
  multicast::Carousel carousel_;
  multicast::Rate rate_;
  multicast::Pacer pacer_;
  multicast::Policy told_policy_;
  std::map<MemberId, bool> members_;  // and whether each was told that the stream is over for it
  Instant followed_;
  std::uint64_t sent_packets_ = 0;
  std::uint64_t followed_packets_ = 0;  // sent by then
  double sent_rate_ = 0;                // bytes a second between the last two times
  double bytes_per_second_;
  Bytes pending_;                 // sealed packets that are still to be sent
  std::size_t filled_ = 0;        // of them
  bool resting_ = true;           // until something happens
  bool starved_ = false;          // until a frame comes
  std::optional<Instant> first_;  // when the first one joined; nothing: the stream has started
  Instant sent_;                  // the last packet
  Alarm alarm_;
  std::shared_ptr<Caster*> self_ = std::make_shared<Caster*>(this);  // for frames that come after its end
};

// What Caster::Read gives.
std::shared_ptr<const Bytes> frame_of(const chunker::SealedSpan& span);

}  // namespace stampede::net

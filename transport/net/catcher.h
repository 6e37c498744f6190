// A target's end of the multicast stream: listens to the group that the depot offered, opens what comes, puts spans together
// and reports. Loop thread only.
//
// Quiet: nothing has come for kQuiet, or the depot says that the stream has nothing more for us. The owner gets the rest
// from the swarm then. What still comes is taken, and after a mere silence the catcher says when the stream is there again.
//
// Memory: the receiver's (transport/multicast/receiver.h), the socket's buffer, and at most kMaxWaiting spans handed over
// and not yet verified: above that nothing is read. The depot hears of them, and of what waits in the socket, as backlog.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "transport/multicast/receiver.h"
#include "transport/net/datagram.h"
#include "transport/net/packet_seal.h"

namespace stampede::net {

inline constexpr Duration kQuiet = std::chrono::milliseconds(700);
inline constexpr std::size_t kMaxWaiting = 48;

class Catcher {
 public:
  struct Events {
    std::function<void(wire::SpanData)> span;                  // unverified; answer with had() or bad()
    std::function<void(std::vector<std::uint32_t>)> stale;     // these will not come
    std::function<void()> quiet;                               // nothing comes (any more)
    std::function<void()> loud;                                // it comes again
    std::function<void(const wire::MulticastReport&)> report;  // for the depot
  };
  // Errors: protocol, where the offer is none; usage, where the group cannot be had.
  static Result<std::unique_ptr<Catcher>> open(Loop& loop, const wire::MulticastOffer& offer, unsigned interface,
                                               Bitmap have, Events events);

  // Verified, from any path.
  void had(std::uint32_t span);
  void bad(std::uint32_t span);
  void news(const wire::MulticastNews& news);
  bool quiet() const { return quiet_; }
  std::optional<Instant> began() const { return began_; }  // first packet
  multicast::Receiver::Figures figures() const { return receiver_.figures(); }
  std::string trouble() const { return socket_->trouble(); }  // see GroupReceiver

 private:
  Catcher(Loop& loop, const wire::MulticastOffer& offer, Bitmap have, Events events);
  bool take(MutableBytes datagram);
  void measure_backlog();
  void tick();
  void settled(std::uint32_t span);
  void set_quiet(bool quiet);

  Events events_;
  multicast::Shape shape_;
  PacketOpener opener_;
  multicast::Receiver receiver_;
  std::set<std::uint32_t> waiting_;
  Instant heard_;
  std::optional<Instant> began_;
  bool quiet_ = false;
  bool over_ = false;  // the depot said so: quiet for good
  Alarm alarm_;
  std::unique_ptr<GroupReceiver> socket_;
};

}  // namespace stampede::net

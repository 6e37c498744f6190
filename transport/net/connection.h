// One framed TLS connection. The version exchange (Hello) is part of getting ready: what the owner sees are messages of the
// agreed version from an identified peer.
//
// Everything runs on the loop's thread, and the loop outlives every connection. It keeps itself alive until it is closed.
// Memory: one incoming frame (of a type that belongs on this line, and at most that type's own limit; kMaxPlainHello until
// the peer has shown a certificate) and what was queued to be sent, overhead included: the owner watches queued() and stops
// at kQueueLimit, which its last message (a span, an Object) may exceed. Above that only small answers are added; reading
// pauses before they come to twice kQueueLimit, and a connection above it is closed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "chunker/source.h"
#include "src/base/error.h"
#include "src/base/seams.h"
#include "src/trust/authority.h"
#include "transport/net/endpoint.h"
#include "transport/net/line.h"
#include "transport/net/loop.h"
#include "transport/net/tls.h"
#include "transport/wire/messages.h"

namespace stampede::net {

inline constexpr Duration kHandshakeLimit = std::chrono::seconds(10);
inline constexpr std::size_t kQueueLimit = std::size_t{2} << 20;
// A depot reads no more a second of one line: what targets have to say is a hundredth of it, and one that talks without end
// must not take the loop from the others. A quarter of a second's worth may come at once.
inline constexpr double kNodeBytesPerSecond = 16 << 20;
// The longest frame from somebody without a certificate (Enrol: a secret and a request).
inline constexpr std::size_t kMaxPlainHello = std::size_t{8} << 10;

class Connection {
 public:
  using Ptr = std::shared_ptr<Connection>;
  struct Events {
    std::function<void()> ready = [] {};
    std::function<void(wire::Message)> message = [](const wire::Message&) {};
    std::function<void()> drained = [] {};  // what was queued has gone below kQueueLimit
    // Once, and last: by the peer, by an error, or by close().
    std::function<void(const Error&)> closed = [](const Error&) {};
  };

  // Resolves and dials, one address after the other; `events.closed` tells of failure. Returned at once.
  static Ptr dial(Loop& loop, const Endpoint& endpoint, std::shared_ptr<TlsContext> tls, Line line, Events events);

  virtual ~Connection() = default;
  virtual void set_events(Events events) = 0;
  virtual void send(const wire::Message& message) = 0;
  virtual void send_span(std::shared_ptr<const chunker::SealedSpan> span) = 0;
  // Sends what is queued (for a second at most), then closes.
  virtual void close_after_sending() = 0;
  virtual void close(Error why) = 0;

  // While held nothing is read: the owner is busy with what it has got.
  virtual void hold_reading(bool held) = 0;

  // No limit of kNodeBytesPerSecond any more: the owner takes what comes off the loop and holds reading meanwhile.
  virtual void allow_bulk() = 0;

  virtual bool is_open() const = 0;
  virtual std::size_t queued() const = 0;
  virtual std::uint64_t features() const = 0;  // of the other side, as its Hello said
  virtual const std::optional<trust::PeerIdentity>& peer() const = 0;
  virtual const std::string& address() const = 0;        // numeric, of the other side
  virtual const std::string& local_address() const = 0;  // of ours; empty before it is connected
  virtual Instant last_heard() const = 0;
  // Bytes of an IP packet that pass to the other end, as far as TCP knows: the least of the MTUs of both ends' interfaces
  // and of what the path has complained of. 576 at least; 1500 where it cannot be told.
  virtual std::size_t path_mtu() const = 0;
};

// Accepts connections and hands each over when it is ready. Loop thread, but for open().
class Listener {
 public:
  struct Limits {
    std::size_t connections = 4096;  // ready ones
    std::size_t handshakes = 256;    // on their way, counted apart; above it the oldest is dropped
  };
  // Binds and listens. Errors: address_in_use, usage (no such address).
  static Result<std::unique_ptr<Listener>> open(Loop& loop, const Endpoint& endpoint, std::shared_ptr<TlsContext> tls,
                                                Line line, const Limits& limits, std::function<void(Connection::Ptr)> ready);
  virtual ~Listener() = default;  // on the loop's thread, or after it has stopped
  virtual Endpoint local() const = 0;
};

}  // namespace stampede::net

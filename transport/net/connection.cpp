#include "transport/net/connection.h"

#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>

#include "transport/net/connection_impl.h"
#include "transport/net/loop_impl.h"
#include "transport/net/span_message.h"
#include "transport/net/tls_impl.h"

namespace stampede::net {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;

namespace {

// TLS records are read this many bytes at a time: fewer system calls. Listener::Limits bound what strangers can take.
constexpr std::size_t kReadAhead = std::size_t{64} << 10;
// Then the loop gets a turn, so that one fast sender does not starve the others.
constexpr std::size_t kReadTurn = std::size_t{2} << 20;
// With this much queued nothing more is read: who asks faster than it takes the answers waits. More than its owner queues by
// itself (kQueueLimit and a span), or two peers that serve each other would wait for each other.
constexpr std::size_t kPauseLimit = kQueueLimit + (std::size_t{3} << 19);
constexpr Duration kNodeBurst = std::chrono::milliseconds(250);
// A name may have several addresses, and the first may be dead; the last one has what is left of kHandshakeLimit.
constexpr Duration kConnectLimit = std::chrono::milliseconds(2500);

// A v4 peer of a v6 socket is shown, and told to others, as what it is.
std::string text_of(const asio::ip::address& address) {
  return address.is_v6() && address.to_v6().is_v4_mapped()
             ? asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string()
             : address.to_string();
}

// OpenSSL works on the socket directly (no BIO pair, so no copy and no callback a record); Asio says when it is ready.
class TlsConnection final : public Connection, public std::enable_shared_from_this<TlsConnection> {
 public:
  TlsConnection(Loop& loop, std::shared_ptr<TlsContext> tls, Line line, Events events)
      : tls_(std::move(tls)),
        line_(line),
        events_(std::move(events)),
        socket_(loop.impl().context),
        resolver_(loop.impl().context),
        deadline_(loop.impl().context),
        attempt_(loop.impl().context),
        throttle_(loop.impl().context),
        last_heard_(system_clock().now()) {}
  ~TlsConnection() override { SSL_free(ssl_); }

  void dial(const Endpoint& endpoint) {
    target_ = endpoint.text();
    start_deadline(kHandshakeLimit, "no answer in time");
    resolver_.async_resolve(endpoint.host.empty() ? "127.0.0.1" : endpoint.host, std::to_string(endpoint.port),
                            [self = shared_from_this()](const auto& error, const auto& results) {
                              if (error) return self->fail_with(Code::unreachable, error.message());
                              self->connect(results, results.begin(), "no address");
                            });
  }

  void accepted(Tcp::socket socket) {
    socket_ = std::move(socket);
    start_deadline(kHandshakeLimit, "no handshake in time");
    // Not at once: all may be there already, and the events' owner has not got the connection yet.
    asio::post(socket_.get_executor(), [self = shared_from_this()] { self->start_tls(); });
  }

  void hold(std::shared_ptr<void> place) { place_ = std::move(place); }
  void set_events(Events events) override { events_ = std::move(events); }
  void hold_reading(bool held) override {
    held_ = held;
    resume();
  }
  void allow_bulk() override { bulk_ = true; }
  bool is_open() const override { return open_; }
  std::size_t queued() const override { return queued_; }
  std::uint64_t features() const override { return features_; }
  const std::optional<trust::PeerIdentity>& peer() const override { return verdict_.peer; }
  const std::string& address() const override { return address_; }
  const std::string& local_address() const override { return local_address_; }
  std::size_t path_mtu() const override {
    constexpr std::size_t kUsual = 1500, kLeast = 576, kTcp = 20, kTimestamps = 12;
    tcp_info info{};
    socklen_t size = sizeof info;
    if (::getsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || info.tcpi_snd_mss == 0)
      return kUsual;
    const std::size_t ip = address_.contains(':') ? 40 : 20;
    const std::size_t options = (info.tcpi_options & TCPI_OPT_TIMESTAMPS) != 0 ? kTimestamps : 0;
    return std::max(kLeast, info.tcpi_snd_mss + options + kTcp + ip);
  }
  Instant last_heard() const override { return last_heard_; }

  void send(const wire::Message& message) override { enqueue({wire::encode(message), nullptr}); }
  void send_span(std::shared_ptr<const chunker::SealedSpan> span) override {
    Bytes header = wire::encode_span_header(span->index.value, parts_of(*span), span->bytes.size());
    enqueue({std::move(header), std::move(span)});
  }
  void close_after_sending() override {
    if (!open_) return;
    closing_ = true;
    start_deadline(std::chrono::seconds(1), "closed");
    if (out_.empty()) close({Code::unreachable, "closed"});
  }
  void close(Error why) override {
    if (!open_) return;
    open_ = false;
    if (ready_) SSL_shutdown(ssl_);  // best effort; the socket is not waited for
    ERR_clear_error();
    boost::system::error_code ignored;
    socket_.close(ignored);
    resolver_.cancel();
    deadline_.cancel();
    attempt_.cancel();
    throttle_.cancel();
    // Not from within the caller's own handler: what it iterates over must not change under it.
    asio::post(socket_.get_executor(), [self = shared_from_this(), why = std::move(why)] {
      const auto closed = std::move(self->events_.closed);
      self->events_ = {};
      if (closed) closed(why);
    });
  }

 private:
  struct Out {
    Bytes head;
    std::shared_ptr<const chunker::SealedSpan> span;
    std::size_t size() const { return head.size() + (span ? span->bytes.size() : 0); }
    // The memory that it holds: small messages are mostly overhead.
    std::size_t cost() const { return head.capacity() + 2 * sizeof(Out) + (span ? span->bytes.size() : 0); }
  };

  // One address after the other.
  void connect(const Tcp::resolver::results_type& results, Tcp::resolver::results_type::iterator next,
               std::string_view why) {
    if (!open_) return;
    if (next == results.end()) return fail_with(Code::unreachable, why);
    boost::system::error_code ignored;
    socket_.close(ignored);
    if (std::next(next) != results.end()) limit_attempt();
    socket_.async_connect(next->endpoint(), [self = shared_from_this(), results, next](const auto& error) {
      self->attempt_.expires_at(Instant::max());
      if (!error) return self->start_tls();
      self->connect(results, std::next(next),
                    error == asio::error::operation_aborted ? "no answer in time" : error.message());
    });
  }

  void limit_attempt() {
    attempt_.expires_after(kConnectLimit);
    attempt_.async_wait([weak = weak_from_this()](const auto& error) {
      const auto self = weak.lock();
      boost::system::error_code ignored;
      if (!error && self && self->attempt_.expiry() <= system_clock().now()) self->socket_.cancel(ignored);
    });
  }

  void start_deadline(Duration limit, const char* what) {
    deadline_.expires_after(limit);
    deadline_.async_wait([weak = weak_from_this(), what](const auto& error) {
      const auto self = weak.lock();
      if (!error && self) self->fail_with(Code::unreachable, what);
    });
  }

  void fail_with(Code code, std::string_view why) {
    close({code, target_.empty() ? fmt::format("{}: {}", address_, why) : fmt::format("{}: {}", target_, why)});
  }

  void start_tls() {
    if (!open_) return;
    boost::system::error_code error;
    const auto remote = socket_.remote_endpoint(error);
    if (error) return fail_with(Code::unreachable, error.message());
    address_ = text_of(remote.address());
    local_address_ = text_of(socket_.local_endpoint(error).address());
    socket_.non_blocking(true, error);
    socket_.set_option(Tcp::no_delay(true), error);
    ssl_ = SSL_new(tls_->native());
    if (ssl_ == nullptr || SSL_set_fd(ssl_, socket_.native_handle()) != 1) return fail_with(Code::busy, tls_error_text());
    SSL_set_default_read_buffer_len(ssl_, kReadAhead);
    SSL_set_ex_data(ssl_, identity_slot(), &verdict_);
    if (tls_->is_server())
      SSL_set_accept_state(ssl_);
    else
      SSL_set_connect_state(ssl_);
    handshake();
  }

  void handshake() {
    if (!open_) return;
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_);
    if (result == 1) return handshaken();
    switch (SSL_get_error(ssl_, result)) {
      case SSL_ERROR_WANT_READ:
        return wait(Tcp::socket::wait_read, &TlsConnection::handshake);
      case SSL_ERROR_WANT_WRITE:
        return wait(Tcp::socket::wait_write, &TlsConnection::handshake);
      default:
        break;
    }
    if (verdict_.error) return fail_with(verdict_.error->code, verdict_.error->message);
    fail_with(Code::unreachable, fmt::format("TLS handshake failed: {}", tls_error_text()));
  }

  void handshaken() {
    tls_ready_ = true;
    send(wire::Hello{wire::kMinVersion, wire::kMaxVersion,
                     wire::kPartialSpans | wire::kRescue | wire::kReceipts | wire::kTooSlow | wire::kPush, "stampede"});
    read();
  }

  void wait(Tcp::socket::wait_type type, void (TlsConnection::*then)()) {
    socket_.async_wait(type, [self = shared_from_this(), then](const auto& error) {
      if (!self->open_) return;
      if (error) return self->fail_with(Code::unreachable, error.message());
      ((*self).*then)();
    });
  }

  // Reads until the socket has no more, or the turn is over.
  void read() {
    std::size_t turn = 0;
    while (open_ && !pause()) {
      const MutableBytes into =
          in_payload_ ? MutableBytes(in_body_).subspan(in_at_) : MutableBytes(in_head_).subspan(in_at_);
      ERR_clear_error();
      std::size_t got = 0;
      if (!into.empty() && SSL_read_ex(ssl_, into.data(), into.size(), &got) != 1) return read_blocked();
      last_heard_ = got > 0 ? system_clock().now() : last_heard_;
      in_at_ += got;
      turn += got;
      if (line_ == Line::from_node) throttle(got);
      if (got == into.size() && !(in_payload_ ? body_complete() : head_complete())) return;
      if (turn > kReadTurn) return asio::post(socket_.get_executor(), [self = shared_from_this()] { self->read(); });
    }
  }

  // `read_until_` is when the bytes that came would be over at the rate that is allowed.
  void throttle(std::size_t got) {
    if (bulk_) return;
    const Instant now = last_heard_;
    const double seconds = static_cast<double>(got) / kNodeBytesPerSecond;
    read_until_ = std::max(read_until_, now) + Duration(static_cast<Duration::rep>(seconds * 1e9));
    if (throttled_ || read_until_ - now <= kNodeBurst) return;
    throttled_ = true;
    throttle_.expires_at(read_until_ - kNodeBurst);
    throttle_.async_wait([weak = weak_from_this()](const auto& error) {
      const auto self = weak.lock();
      if (error || !self) return;
      self->throttled_ = false;
      self->resume();
    });
  }

  bool pause() { return paused_ = held_ || throttled_ || queued_ >= kPauseLimit; }
  void resume() {
    if (paused_ && !pause()) asio::post(socket_.get_executor(), [self = shared_from_this()] { self->read(); });
  }

  void read_blocked() {
    switch (SSL_get_error(ssl_, 0)) {
      case SSL_ERROR_WANT_READ:
        return wait(Tcp::socket::wait_read, &TlsConnection::read);
      case SSL_ERROR_WANT_WRITE:
        return wait(Tcp::socket::wait_write, &TlsConnection::read);
      case SSL_ERROR_ZERO_RETURN:
        return fail_with(Code::unreachable, "the other side closed the connection");
      default:
        break;
    }
    // A TLS 1.3 server refuses our certificate only after our side of the handshake is over.
    if (verdict_.error) return fail_with(verdict_.error->code, verdict_.error->message);
    fail_with(Code::unreachable, fmt::format("connection lost: {}", tls_error_text()));
  }

  bool head_complete() {
    auto header = wire::decode_header(in_head_);
    if (!header) return malformed(header.error());
    if (!may_arrive(line_, header->type, verdict_.peer.has_value()))
      return malformed({Code::protocol, fmt::format("a frame of type {} does not belong here", header->type)});
    if (!verdict_.peer && header->payload > kMaxPlainHello)
      return malformed({Code::protocol, "a frame too long for somebody without a certificate"});
    in_header_ = *header;
    in_body_ = Buffer(header->payload);
    in_payload_ = true;
    in_at_ = 0;
    return true;
  }

  bool body_complete() {
    auto message = wire::decode(in_header_, std::move(in_body_));
    in_payload_ = false;
    in_at_ = 0;
    if (!message) return malformed(message.error());
    if (ready_) {
      events_.message(std::move(*message));
      return open_;
    }
    const auto* hello = std::get_if<wire::Hello>(&*message);
    if (hello == nullptr) return malformed({Code::protocol, "the first frame is not Hello"});
    if (auto version = wire::agree({}, *hello); !version) return malformed(version.error());
    ready_ = true;
    features_ = hello->features;
    deadline_.cancel();
    const auto ready = std::move(events_.ready);  // it may replace events_
    ready();
    return open_;
  }

  bool malformed(const Error& error) {
    send(wire::ErrorMessage{static_cast<std::uint8_t>(error.code), error.message.substr(0, 1000)});
    fail_with(error.code, error.message);
    return false;
  }

  void enqueue(Out out) {
    if (!open_ || closing_) return;
    // Below kQueueLimit the owner may add what it likes, an Object too; above it only what it cannot pace.
    const std::size_t before = queued_;
    queued_ += out.cost();
    if (before >= kQueueLimit && queued_ > 2 * kQueueLimit)
      return fail_with(Code::busy, "the other side does not read what it asked for");
    out_.push_back(std::move(out));
    if (!writing_ && tls_ready_) write();
  }

  void write() {
    writing_ = false;
    while (open_ && !out_.empty()) {
      const Out& front = out_.front();
      const ByteView bytes = out_at_ < front.head.size() ? ByteView(front.head).subspan(out_at_)
                                                         : ByteView(front.span->bytes).subspan(out_at_ - front.head.size());
      ERR_clear_error();
      std::size_t put = 0;
      if (SSL_write_ex(ssl_, bytes.data(), bytes.size(), &put) != 1) return write_blocked();
      out_at_ += put;
      if (paused_) last_heard_ = system_clock().now();  // it takes what it asked for: a sign of life
      if (out_at_ == front.size()) sent_front();
    }
    if (open_ && closing_) close({Code::unreachable, "closed"});
  }

  void sent_front() {
    const bool was_full = queued_ >= kQueueLimit;
    queued_ -= out_.front().cost();
    out_.pop_front();
    out_at_ = 0;
    if (was_full && queued_ < kQueueLimit) {
      writing_ = true;  // what drained() queues is taken up by this same loop
      events_.drained();
      writing_ = false;
    }
    resume();
  }

  void write_blocked() {
    writing_ = true;
    switch (SSL_get_error(ssl_, 0)) {
      case SSL_ERROR_WANT_WRITE:
        return wait(Tcp::socket::wait_write, &TlsConnection::write);
      case SSL_ERROR_WANT_READ:
        return wait(Tcp::socket::wait_read, &TlsConnection::write);
      default:
        fail_with(Code::unreachable, fmt::format("connection lost: {}", tls_error_text()));
    }
  }

  std::shared_ptr<TlsContext> tls_;
  Line line_;
  Events events_;
  mutable Tcp::socket socket_;  // native_handle() is not const
  Tcp::resolver resolver_;
  asio::steady_timer deadline_;
  asio::steady_timer attempt_;
  asio::steady_timer throttle_;
  Instant last_heard_;
  std::string target_;
  std::string address_;
  std::string local_address_;
  PeerVerdict verdict_;
  std::shared_ptr<void> place_;  // in the listener's count
  SSL* ssl_ = nullptr;
  bool open_ = true;
  bool tls_ready_ = false;
  std::uint64_t features_ = 0;
  bool ready_ = false;
  bool closing_ = false;
  bool held_ = false;       // reading, by the owner
  bool bulk_ = false;       // it may come as fast as it is taken
  bool throttled_ = false;  // the same, for it came too fast
  bool paused_ = false;     // reading, by one of those or by a full queue
  Instant read_until_;

  std::array<std::byte, wire::kHeaderSize> in_head_{};
  wire::FrameHeader in_header_;
  Buffer in_body_;
  bool in_payload_ = false;
  std::size_t in_at_ = 0;

  std::deque<Out> out_;
  std::size_t out_at_ = 0;
  std::size_t queued_ = 0;
  bool writing_ = false;
};

}  // namespace

Connection::Ptr Connection::dial(Loop& loop, const Endpoint& endpoint, std::shared_ptr<TlsContext> tls, Line line,
                                 Events events) {
  auto connection = std::make_shared<TlsConnection>(loop, std::move(tls), line, std::move(events));
  connection->dial(endpoint);
  return connection;
}

Connection::Ptr accept_connection(Loop& loop, Tcp::socket socket, std::shared_ptr<TlsContext> tls, Line line,
                                  Connection::Events events) {
  auto connection = std::make_shared<TlsConnection>(loop, std::move(tls), line, std::move(events));
  connection->accepted(std::move(socket));
  return connection;
}

void hold_place(Connection& accepted, std::shared_ptr<void> place) {
  static_cast<TlsConnection&>(accepted).hold(std::move(place));
}

}  // namespace stampede::net

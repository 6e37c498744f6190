#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>

#include "transport/net/connection_impl.h"
#include "transport/net/loop_impl.h"

namespace stampede::net {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;

namespace {

class TcpListener final : public Listener {
 public:
  TcpListener(Loop& loop, std::shared_ptr<TlsContext> tls, Line line, const Limits& limits,
              std::function<void(Connection::Ptr)> ready)
      : state_(std::make_shared<State>(loop, std::move(tls), line, limits, std::move(ready))) {}
  ~TcpListener() override { state_->stop(); }

  Result<> bind(const Endpoint& endpoint) { return state_->bind(endpoint); }
  Endpoint local() const override { return state_->local; }

 private:
  // Outlives the listener as long as a handler of its own is on its way.
  struct State : std::enable_shared_from_this<State> {
    State(Loop& loop_, std::shared_ptr<TlsContext> tls_, Line line_, const Limits& limits_,
          std::function<void(Connection::Ptr)> ready_)
        : loop(loop_),
          tls(std::move(tls_)),
          line(line_),
          limits(limits_),
          ready(std::move(ready_)),
          acceptor(loop_.impl().context),
          pause(loop_.impl().context) {}

    Result<> bind(const Endpoint& endpoint) {
      boost::system::error_code error;
      const auto address = endpoint.host.empty() ? asio::ip::address(asio::ip::address_v6::any())
                                                 : asio::ip::make_address(endpoint.host, error);
      if (error) return fail(Code::usage, "cannot listen on '{}': not a numeric address", endpoint.text());
      Tcp::endpoint at(address, endpoint.port);
      acceptor.open(at.protocol(), error);
      if (error && endpoint.host.empty()) {  // a machine without IPv6
        at = Tcp::endpoint(asio::ip::address_v4::any(), endpoint.port);
        acceptor.open(at.protocol(), error);
      }
      if (!error) acceptor.set_option(Tcp::acceptor::reuse_address(true), error);
      if (!error && at.address().is_v6() && endpoint.host.empty()) acceptor.set_option(asio::ip::v6_only(false), error);
      if (!error) acceptor.bind(at, error);
      if (!error) acceptor.listen(1024, error);
      if (error == asio::error::address_in_use)
        return fail(Code::address_in_use, "cannot listen on {}: the port is in use; stop who has it or choose another",
                    endpoint.text());
      if (error) return fail(Code::usage, "cannot listen on {}: {}", endpoint.text(), error.message());
      local = {endpoint.host, acceptor.local_endpoint().port()};
      loop.post([self = shared_from_this()] { self->accept(); });
      return {};
    }

    void accept() {
      acceptor.async_accept([self = shared_from_this()](const auto& error, Tcp::socket socket) {
        if (self->stopped) return;
        if (!error)
          self->take(std::move(socket));
        else if (error != asio::error::connection_aborted)
          return self->rest();
        self->accept();
      });
    }

    // Out of descriptors: the kernel would report it again at once, for ever.
    void rest() {
      pause.expires_after(std::chrono::milliseconds(100));
      pause.async_wait([self = shared_from_this()](const auto&) {
        if (!self->stopped) self->accept();
      });
    }

    void take(Tcp::socket socket) {
      if (handshakes.size() >= limits.handshakes) {
        const Connection::Ptr oldest = handshakes.begin()->second;
        handshakes.erase(handshakes.begin());
        oldest->close({Code::busy, "too many handshakes at once"});
      }
      const std::uint64_t number = ++accepted;
      Connection::Events events;
      events.closed = [self = shared_from_this(), number](const Error&) { self->handshakes.erase(number); };
      events.ready = [self = shared_from_this(), number] { self->made(number); };
      handshakes[number] = accept_connection(loop, std::move(socket), tls, line, std::move(events));
    }

    void made(std::uint64_t number) {
      const auto node = handshakes.extract(number);
      if (node.empty() || stopped) return;
      const Connection::Ptr& connection = node.mapped();
      if (static_cast<std::size_t>(places.use_count()) > limits.connections)
        return connection->close({Code::busy, "too many connections"});
      hold_place(*connection, places);
      ready(connection);
    }

    void stop() {
      stopped = true;
      boost::system::error_code ignored;
      acceptor.close(ignored);
      pause.cancel();
      for (const auto& [number, connection] : handshakes) connection->close({Code::interrupted, "stopping"});
      handshakes.clear();
    }

    Loop& loop;
    std::shared_ptr<TlsContext> tls;
    Line line;
    Limits limits;
    std::function<void(Connection::Ptr)> ready;
    Tcp::acceptor acceptor;
    asio::steady_timer pause;
    Endpoint local;
    std::map<std::uint64_t, Connection::Ptr> handshakes;  // by age
    std::uint64_t accepted = 0;
    std::shared_ptr<void> places = std::make_shared<char>();  // held by every ready connection
    bool stopped = false;
  };
  std::shared_ptr<State> state_;
};

}  // namespace

Result<std::unique_ptr<Listener>> Listener::open(Loop& loop, const Endpoint& endpoint, std::shared_ptr<TlsContext> tls,
                                                 Line line, const Limits& limits,
                                                 std::function<void(Connection::Ptr)> ready) {
  auto listener = std::make_unique<TcpListener>(loop, std::move(tls), line, limits, std::move(ready));
  STAMPEDE_CHECK(listener->bind(endpoint));
  return listener;
}

}  // namespace stampede::net

#include "transport/net/connection.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "tests/net/site.h"

namespace stampede::net {
namespace {

using testing::TestSite;

// Both ends of one dialled connection; what either side says, as it comes.
struct End {
  std::promise<void> ready;
  std::promise<Error> closed;
  std::promise<wire::Message> message;
  Connection::Ptr connection;
  bool heard = false;  // only the first message is kept
  Connection::Events events() {
    Connection::Events events;
    events.ready = [this] { ready.set_value(); };
    events.closed = [this](const Error& error) { closed.set_value(error); };
    events.message = [this](wire::Message received) {
      if (!std::exchange(heard, true)) message.set_value(std::move(received));
    };
    return events;
  }
};

template <class T>
T get(std::promise<T>& promise) {
  auto future = promise.get_future();
  if (future.wait_for(std::chrono::seconds(20)) != std::future_status::ready) throw std::runtime_error("nothing came");
  return future.get();
}

class ConnectionTest : public ::testing::Test {
 protected:
  // Listens with `server`; accepted connections land in `accepted_`.
  void listen(bool require_certificate, const Listener::Limits& limits = {}) {
    auto tls = TlsContext::server(depot_, require_certificate);
    ASSERT_TRUE(tls) << tls.error().message;
    dials_ = require_certificate ? Line::peers : Line::to_depot;
    const Line accepts = require_certificate ? Line::peers : Line::from_node;
    auto listener = Listener::open(loop_, {"127.0.0.1", 0}, *tls, accepts, limits, [this](Connection::Ptr connection) {
      ++ready_;
      if (server_.connection) return;
      server_.connection = connection;
      auto events = server_.events();
      events.ready = [] {};
      connection->set_events(std::move(events));
      server_.ready.set_value();
    });
    ASSERT_TRUE(listener) << listener.error().message;
    listener_ = std::move(*listener);
  }
  void dial(const std::optional<Identity>& identity, const trust::PublicKey& site) {
    auto tls = TlsContext::client(identity, site);
    ASSERT_TRUE(tls) << tls.error().message;
    loop_.run_and_wait(
        [&] { client_.connection = Connection::dial(loop_, listener_->local(), *tls, dials_, client_.events()); });
  }
  void TearDown() override {
    loop_.run_and_wait([this] {
      listener_.reset();
      for (End* end : {&client_, &server_})
        if (end->connection) end->connection->close({Code::interrupted, "test over"});
    });
    loop_.run_and_wait([] {});
    loop_.stop();
  }

  Loop loop_;  // first, so that it goes last
  TestSite site_;
  Identity depot_ = site_.make(trust::Role::depot);
  End client_;
  End server_;
  std::atomic<int> ready_ = 0;
  Line dials_ = Line::peers;
  std::unique_ptr<Listener> listener_;
};

TEST_F(ConnectionTest, IdentifiesBothSidesAndCarriesMessages) {
  const Identity node = site_.make(trust::Role::node);
  listen(true);
  dial(node, site_.key());
  get(client_.ready);
  get(server_.ready);
  EXPECT_EQ(client_.connection->peer()->key, depot_.key.public_key());
  EXPECT_EQ(client_.connection->peer()->role, trust::Role::depot);
  EXPECT_EQ(server_.connection->peer()->key, node.key.public_key());
  loop_.post([this] { client_.connection->send(wire::Request{17}); });
  EXPECT_EQ(get(server_.message), wire::Message(wire::Request{17}));

  auto span = std::make_shared<chunker::SealedSpan>();
  span->index = {3};
  span->bytes = Buffer(ByteView(Bytes(700'000, std::byte{7})));
  span->parts = {{chunker::Codec::raw, 500'000}, {chunker::Codec::zstd, 200'000}};
  loop_.post([&] { server_.connection->send_span(span); });
  const auto received = get(client_.message);
  const auto* data = std::get_if<wire::SpanData>(&received);
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(data->span, 3U);
  EXPECT_EQ(data->bytes, span->bytes);
  ASSERT_EQ(data->parts.size(), 2U);
  EXPECT_EQ(data->parts[1].sealed_size, 200'000U);
}

TEST_F(ConnectionTest, ANodeWithoutACertificateIsNobody) {
  listen(false);
  dial(std::nullopt, site_.key());
  get(client_.ready);
  get(server_.ready);
  EXPECT_FALSE(server_.connection->peer());
}

TEST_F(ConnectionTest, PeersRefuseANodeWithoutACertificate) {
  listen(true);
  dial(std::nullopt, site_.key());
  get(client_.closed);
  EXPECT_EQ(ready_, 0);
}

TEST_F(ConnectionTest, RefusesADepotOfAnotherSite) {
  const TestSite other;
  listen(false);
  dial(other.make(trust::Role::node), other.key());
  EXPECT_EQ(get(client_.closed).code, Code::peer_untrusted);
  EXPECT_EQ(ready_, 0);
}

TEST_F(ConnectionTest, RefusesANodeOfAnotherSite) {
  const TestSite other;
  listen(false);
  dial(other.make(trust::Role::node), site_.key());
  get(client_.closed);
  EXPECT_EQ(ready_, 0);
}

TEST_F(ConnectionTest, NobodyThereIsUnreachable) {
  listen(false);
  const Endpoint gone = listener_->local();
  loop_.run_and_wait([this] { listener_.reset(); });
  auto tls = TlsContext::client(std::nullopt, site_.key());
  loop_.run_and_wait([&] { client_.connection = Connection::dial(loop_, gone, *tls, dials_, client_.events()); });
  EXPECT_EQ(get(client_.closed).code, Code::unreachable);
}

TEST_F(ConnectionTest, ThePortInUseIsNamed) {
  listen(false);
  auto tls = TlsContext::server(depot_, false);
  auto second = Listener::open(loop_, listener_->local(), *tls, Line::from_node, {}, [](const Connection::Ptr&) {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::address_in_use);
  EXPECT_NE(second.error().message.find(std::to_string(listener_->local().port)), std::string::npos);
}

int raw_connection(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    ::close(fd);
    return -1;
  }
  return fd;
}

TEST_F(ConnectionTest, GarbageAndSilentConnectionsDoNotKeepOthersOut) {
  listen(false, {.connections = 64, .handshakes = 16});
  SeededRandom random(5);
  std::vector<int> silent;
  for (int i = 0; i < 300; ++i) {
    const int fd = raw_connection(listener_->local().port);
    if (fd < 0) continue;
    Bytes bytes(random.below(500));
    random.fill(bytes);
    [[maybe_unused]] const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (i % 3 == 0)
      silent.push_back(fd);
    else
      ::close(fd);
  }
  dial(site_.make(trust::Role::node), site_.key());
  get(client_.ready);
  for (const int fd : silent) ::close(fd);
  get(server_.ready);
  EXPECT_EQ(ready_, 1);
}

// As many silent ones as there may be connections: they are handshakes, and those make room.
TEST_F(ConnectionTest, SilentConnectionsTakeNoPlaceOfReadyOnes) {
  listen(true, {.connections = 4, .handshakes = 4});
  std::vector<int> silent;
  for (int i = 0; i < 40; ++i)
    if (const int fd = raw_connection(listener_->local().port); fd >= 0) silent.push_back(fd);
  EXPECT_EQ(silent.size(), 40U);
  dial(site_.make(trust::Role::node), site_.key());
  get(client_.ready);
  get(server_.ready);
  EXPECT_EQ(ready_, 1);
  for (const int fd : silent) ::close(fd);
}

TEST_F(ConnectionTest, WhatDoesNotBelongOnTheLineIsRefusedByItsHeader) {
  listen(false);
  dial(site_.make(trust::Role::node), site_.key());
  get(client_.ready);
  get(server_.ready);
  loop_.post([&] { client_.connection->send(wire::Object{{}, 0, 16, Bytes(16)}); });
  EXPECT_EQ(get(server_.closed).code, Code::protocol);
}

// Who asks and does not take the answers is not read any further: the queue stays below its limit.
TEST_F(ConnectionTest, ReadingWaitsForAnswersToBeTaken) {
  listen(false);
  dial(site_.make(trust::Role::node), site_.key());
  get(client_.ready);
  get(server_.ready);
  constexpr int kAsked = 600;
  auto span = std::make_shared<chunker::SealedSpan>();
  span->bytes = Buffer(ByteView(Bytes(100'000)));
  span->parts = {{chunker::Codec::raw, 100'000}};
  std::atomic<int> asked = 0;
  std::atomic<int> answers = 0;
  std::atomic<std::size_t> most = 0;
  std::promise<void> all;
  loop_.run_and_wait([&] {
    Connection::Events events;
    events.message = [&](const wire::Message&) {
      ++asked;
      server_.connection->send_span(span);
      most = std::max<std::size_t>(most, server_.connection->queued());
    };
    server_.connection->set_events(std::move(events));
    events = {};
    events.message = [&](const wire::Message&) {
      if (++answers == kAsked) all.set_value();
    };
    client_.connection->set_events(std::move(events));
    client_.connection->hold_reading(true);
  });
  loop_.run_and_wait([&] {
    for (int i = 0; i < kAsked; ++i) client_.connection->send(wire::Request{});
  });
  // The loop has nothing left to do until the client reads.
  for (int before = -1; std::exchange(before, asked.load()) != asked;)
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_LT(asked, kAsked);
  EXPECT_LE(most, 2 * kQueueLimit);
  loop_.run_and_wait([&] { client_.connection->hold_reading(false); });
  get(all);
  EXPECT_EQ(asked, kAsked);
}

TEST_F(ConnectionTest, AStrangerCannotSendALongFrame) {
  listen(false);
  dial(std::nullopt, site_.key());
  get(client_.ready);
  wire::Have have;
  have.spans.resize(kMaxPlainHello);
  loop_.post([&] { client_.connection->send(have); });
  EXPECT_EQ(get(server_.closed).code, Code::protocol);
}

TEST_F(ConnectionTest, WhoDoesNotReadIsDroppedBeforeMemoryRunsOut) {
  listen(false);
  dial(site_.make(trust::Role::node), site_.key());
  get(client_.ready);
  get(server_.ready);
  auto span = std::make_shared<chunker::SealedSpan>();
  span->bytes = Buffer(1 << 20);
  span->parts = {{chunker::Codec::raw, 1 << 20}};
  // The loop serves both ends, so within one task nothing is read.
  loop_.run_and_wait([&] {
    for (int i = 0; i < 200 && server_.connection->is_open(); ++i) server_.connection->send_span(span);
  });
  EXPECT_EQ(get(server_.closed).code, Code::busy);
}

}  // namespace
}  // namespace stampede::net

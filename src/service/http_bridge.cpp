#include "src/service/http_bridge.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <condition_variable>
#include <map>
#include <thread>
#include <vector>

#include "src/service/http_session_impl.h"

namespace stampede::service {
namespace {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;

// They read packs, so they are more than what a disk answers at once; a connection is served by one at a time.
constexpr unsigned kThreads = 4 + kMostFixedWaiting;

// The connections that there are. Thread-safe.
class Connections {
 public:
  Connections(std::size_t most, std::size_t of_an_address) : most_(most), of_an_address_(of_an_address) {}

  // A number for a new one, for whose sake an old one may have been told to finish; or nothing, where it is to be refused.
  std::optional<std::uint64_t> admit(const asio::ip::address& address) {
    Held held;
    const std::lock_guard lock(mutex_);
    const auto same = static_cast<std::size_t>(
        std::ranges::count_if(all_, [&](const auto& each) { return each.second.address == address; }));
    if (same >= of_an_address_) return std::nullopt;
    if (all_.size() >= most_ && !make_room(held)) return std::nullopt;
    all_[++admitted_] = {address, {}};
    return admitted_;
  }
  void started(std::uint64_t number, const std::shared_ptr<HttpSession>& session) {
    const std::lock_guard lock(mutex_);
    if (const auto found = all_.find(number); found != all_.end()) found->second.session = session;
  }
  void gone(std::uint64_t number) {
    {
      const std::lock_guard lock(mutex_);
      all_.erase(number);
    }
    fewer_.notify_all();
  }
  // Asks all to finish, and waits until they have, or so long.
  void finish(Duration patience) {
    Held held;
    std::unique_lock lock(mutex_);
    for (const auto& [number, each] : all_)
      if (auto session = each.session.lock()) held.emplace_back(std::move(session))->finish();
    lock.unlock();
    held.clear();
    lock.lock();
    fewer_.wait_for(lock, patience, [this] { return all_.empty(); });
  }

 private:
  struct Each {
    asio::ip::address address;
    std::weak_ptr<HttpSession> session;
  };

  // Let go of without the lock: the last one that lets a session go ends it, and it says that it is gone.
  using Held = std::vector<std::shared_ptr<HttpSession>>;

  // The oldest that waits for a request gives way; its place is free at once, and few are on their way out.
  bool make_room(Held& held) {
    for (auto it = all_.begin(); it != all_.end(); ++it) {
      const auto& session = held.emplace_back(it->second.session.lock());
      if (!session || !session->is_waiting()) continue;
      session->finish();
      all_.erase(it);
      return true;
    }
    return false;
  }

  const std::size_t most_, of_an_address_;
  std::mutex mutex_;
  std::condition_variable fewer_;
  std::map<std::uint64_t, Each> all_;  // by age
  std::uint64_t admitted_ = 0;
};

class AsioBridge final : public HttpBridge {
 public:
  AsioBridge(cache::Store& store, const HttpOptions& options)
      : options_(options), content_(store), connections_(options.connections, options.of_an_address) {}

  ~AsioBridge() override {
    asio::post(acceptor_.get_executor(), [this] {
      boost::system::error_code ignored;
      acceptor_.close(ignored);
      pause_.cancel();
    });
    content_.stop();
    if (!threads_.empty()) connections_.finish(kHttpStopPatience);
    context_.stop();
    for (std::thread& thread : threads_) thread.join();
  }

  Result<> open() {
    STAMPEDE_CHECK(bind());
    accept();
    for (unsigned i = 0; i < kThreads; ++i) threads_.emplace_back([this] { context_.run(); });
    return {};
  }

  net::Endpoint local() const override { return local_; }

 private:
  Result<> bind() {
    boost::system::error_code error;
    const net::Endpoint& listen = options_.listen;
    const auto address =
        listen.host.empty() ? asio::ip::address(asio::ip::address_v6::any()) : asio::ip::make_address(listen.host, error);
    if (error) return fail(Code::usage, "cannot listen on '{}' for HTTP: not a numeric address", listen.text());
    Tcp::endpoint at(address, listen.port);
    acceptor_.open(at.protocol(), error);
    if (error && listen.host.empty()) {  // a machine without IPv6
      at = Tcp::endpoint(asio::ip::address_v4::any(), listen.port);
      acceptor_.open(at.protocol(), error);
    }
    if (!error) acceptor_.set_option(Tcp::acceptor::reuse_address(true), error);
    if (!error && at.address().is_v6() && listen.host.empty()) acceptor_.set_option(asio::ip::v6_only(false), error);
    if (!error) acceptor_.bind(at, error);
    if (!error) acceptor_.listen(256, error);
    if (error == asio::error::address_in_use)
      return fail(Code::address_in_use,
                  "cannot listen on {} for HTTP: the port is in use; stop who has it or choose another", listen.text());
    if (error) return fail(Code::usage, "cannot listen on {} for HTTP: {}", listen.text(), error.message());
    local_ = {listen.host, acceptor_.local_endpoint().port()};
    return {};
  }

  void accept() {
    acceptor_.async_accept(asio::make_strand(context_), [this](const boost::system::error_code& error, Tcp::socket socket) {
      if (!acceptor_.is_open()) return;
      if (!error)
        take(std::move(socket));
      else if (error != asio::error::connection_aborted)
        return rest();
      accept();
    });
  }

  // Out of descriptors: the kernel would report it again at once, for ever.
  void rest() {
    pause_.expires_after(std::chrono::milliseconds(100));
    pause_.async_wait([this](const auto&) {
      if (acceptor_.is_open()) accept();
    });
  }

  void take(Tcp::socket socket) {
    boost::system::error_code error;
    const auto peer = socket.remote_endpoint(error);
    if (error) return;
    const auto number = connections_.admit(peer.address());
    if (!number) return spdlog::warn("http: {} is refused: too many connections", peer.address().to_string());
    const std::string from = net::Endpoint{peer.address().to_string(), peer.port()}.text();
    const auto session = make_http_session(std::move(socket), from, content_, options_.head_patience,
                                           [this, from, number = *number](const HttpSession::Sums& sums) {
                                             if (sums.requests > 0)
                                               spdlog::info("http: {} has had {} answers, {} of them chunks, {} bytes", from,
                                                            sums.requests, sums.chunks, sums.bytes);
                                             connections_.gone(number);
                                           });
    connections_.started(*number, session);
    session->start();
  }

  const HttpOptions options_;
  HttpContent content_;
  Connections connections_;
  asio::io_context context_{static_cast<int>(kThreads)};
  Tcp::acceptor acceptor_{asio::make_strand(context_)};
  asio::steady_timer pause_{acceptor_.get_executor()};
  net::Endpoint local_;
  std::vector<std::thread> threads_;
};

}  // namespace

Result<std::unique_ptr<HttpBridge>> HttpBridge::start(cache::Store& store, const HttpOptions& options) {
  auto bridge = std::make_unique<AsioBridge>(store, options);
  STAMPEDE_CHECK(bridge->open());
  return bridge;
}

}  // namespace stampede::service

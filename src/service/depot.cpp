#include "src/service/depot.h"

#include <set>

#include "src/service/session.h"

namespace stampede::service {

namespace {

constexpr Duration kTick = std::chrono::milliseconds(20);

class LoopDepot final : public Depot {
 public:
  LoopDepot(cache::Store& store, const Site& site) : site_(site), state_{store, site_, {}} {}

  ~LoopDepot() override {
    loop_.run_and_wait([this] {
      ticker_.reset();
      listener_.reset();
      for (const auto& session : std::set(sessions_)) session->close();
    });
    loop_.stop();
  }

  Result<> open(const DepotOptions& options) {
    STAMPEDE_TRY(auto tls, net::TlsContext::server(site_.depot, false));
    STAMPEDE_TRY(listener_,
                 net::Listener::open(loop_, options.listen, std::move(tls), {.connections = kMaxSessions, .handshakes = 256},
                                     [this](net::Connection::Ptr connection) { take(std::move(connection)); }));
    ticker_ = std::make_unique<net::Ticker>(loop_, kTick, [this] { tick(); });
    return {};
  }

  net::Endpoint local() const override { return listener_->local(); }

 private:
  void take(net::Connection::Ptr connection) {
    auto holder = std::make_shared<std::weak_ptr<Session>>();
    auto session =
        std::make_shared<Session>(state_, std::move(connection), [this, holder] { sessions_.erase(holder->lock()); });
    *holder = session;
    sessions_.insert(session);
    session->start();
  }

  void tick() {
    const Instant now = system_clock().now();
    for (auto room = state_.rooms.begin(); room != state_.rooms.end();) {
      room->second->tell_members(now);
      room = room->second->empty() ? state_.rooms.erase(room) : std::next(room);
    }
  }

  net::Loop loop_;  // first, so that it goes last: sockets and timers end before it
  Site site_;
  DepotState state_;
  std::set<std::shared_ptr<Session>> sessions_;
  std::unique_ptr<net::Listener> listener_;
  std::unique_ptr<net::Ticker> ticker_;
};

}  // namespace

Result<std::unique_ptr<Depot>> Depot::start(cache::Store& store, const Site& site, const DepotOptions& options) {
  auto depot = std::make_unique<LoopDepot>(store, site);
  STAMPEDE_CHECK(depot->open(options));
  return depot;
}

}  // namespace stampede::service

#include "src/service/depot.h"

#include <map>

#include "src/service/session.h"

namespace stampede::service {

namespace {

constexpr Duration kTick = std::chrono::milliseconds(20);
constexpr Duration kCheckEvery = std::chrono::seconds(1);

class LoopDepot final : public Depot {
 public:
  LoopDepot(cache::Store& store, const Site& site, const DepotOptions& options)
      : site_(site), state_(loop_, store, site_, {*worker_, *reader_, *intake_}, options) {}

  ~LoopDepot() override {
    loop_.run_and_wait([this] {
      ticker_.reset();
      listener_.reset();
      for (const auto& [number, session] : sessions_) session->close({Code::interrupted, "the depot stops"});
      state_.close_rooms();
    });
    // After the sessions have heard that they are closed: until then their rooms' streams may want a span, and their pushes
    // are to be kept. What a task posts may come after what is posted as soon as it is done; hence a task between.
    loop_.run_and_wait([] {});
    loop_.run_and_wait([this] {
      worker_.reset();
      reader_.reset();
      intake_.reset();
    });
    loop_.stop();
  }

  Result<> open(const DepotOptions& options) {
    STAMPEDE_TRY(auto tls, net::TlsContext::server(site_.depot, false));
    STAMPEDE_TRY(listener_, net::Listener::open(loop_, options.listen, std::move(tls), net::Line::from_node,
                                                {.connections = kMaxSessions, .handshakes = 256},
                                                [this](net::Connection::Ptr connection) { take(std::move(connection)); }));
    ticker_ = std::make_unique<net::Ticker>(loop_, kTick, [this] { tick(); });
    return {};
  }

  net::Endpoint local() const override { return listener_->local(); }

  std::vector<net::CastStatus> streams() override {
    std::vector<net::CastStatus> all;
    loop_.run_and_wait([&] { all = state_.streams(); });
    return all;
  }

 private:
  void take(net::Connection::Ptr connection) {
    const std::uint64_t number = ++accepted_;
    auto session = std::make_shared<Session>(state_, std::move(connection), [this, number] { sessions_.erase(number); });
    make_room(session->key());
    sessions_[number] = session;
    session->start();
  }

  // Of the sessions of one key, or of nobody yet, the oldest gives way: it is most likely dead.
  void make_room(const std::optional<trust::PublicKey>& key) {
    std::shared_ptr<Session> oldest;
    std::size_t count = 0;
    for (const auto& [number, session] : sessions_) {
      if (session->key() != key) continue;
      if (!session->is_open()) continue;
      if (count++ == 0) oldest = session;
    }
    if (count >= (key ? kMaxOfAKey : kMaxStrangers)) oldest->close({Code::busy, "too many connections of one kind"});
  }

  void tick() {
    const Instant now = system_clock().now();
    state_.tend_rooms(now);
    if (now < next_check_) return;
    next_check_ = now + kCheckEvery;
    for (const auto& [number, session] : sessions_) session->check(now);
    state_.tend_store(now);
  }

  net::Loop loop_;  // first, so that it goes last: sockets and timers end before it
  Site site_;
  std::unique_ptr<Worker> worker_ = std::make_unique<Worker>(loop_);
  std::unique_ptr<Worker> reader_ = std::make_unique<Worker>(loop_);
  std::unique_ptr<Worker> intake_ = std::make_unique<Worker>(loop_);
  DepotState state_;
  std::map<std::uint64_t, std::shared_ptr<Session>> sessions_;  // by age
  std::uint64_t accepted_ = 0;
  Instant next_check_;
  std::unique_ptr<net::Listener> listener_;
  std::unique_ptr<net::Ticker> ticker_;
};

}  // namespace

Result<std::unique_ptr<Depot>> Depot::start(cache::Store& store, const Site& site, const DepotOptions& options) {
  auto depot = std::make_unique<LoopDepot>(store, site, options);
  STAMPEDE_CHECK(depot->open(options));
  return depot;
}

}  // namespace stampede::service

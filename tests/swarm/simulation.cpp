#include "tests/swarm/simulation.h"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/format.h>

namespace stampede::swarm {

namespace {

using namespace std::chrono_literals;
constexpr double kSpanBytes = 1 << 20;
constexpr Duration kLatency = 200us;
constexpr Duration kVerify = 500us;
constexpr Duration kHaveEvery = 20ms;
constexpr Duration kProgressEvery = 1s;
constexpr Duration kMembersEvery = 100ms;

struct Link {
  Duration per_span{};
  Instant free{};
  Instant pass(Instant now) { return free = std::max(now, free) + per_span; }
};

struct Node {
  NodeSpec spec;
  std::unique_ptr<Picker> picker;
  Link up, down;
  bool alive = false;
  bool frozen = false;
  std::set<std::uint32_t> peers;    // connected nodes
  std::set<std::uint32_t> shunned;  // sent a bad span
  std::vector<std::uint32_t> fresh_have;
  bool depot = false;  // connected
  std::optional<Instant> polls_at;
  std::uint32_t verifying = 0;
  std::vector<std::function<void(Node&)>> inbox;  // while frozen
};

using Spans = std::shared_ptr<const std::vector<std::uint32_t>>;

class World {
 public:
  explicit World(const Scenario& scenario) : s_(scenario), random_(scenario.seed), origin_(scenario.spans) {}
  Outcome run();

 private:
  struct Event {
    Instant at;
    std::uint64_t order;
    std::function<void()> act;
    bool operator<(const Event& other) const { return std::tie(at, order) > std::tie(other.at, other.order); }
  };
  void at(Instant when, std::function<void()> act) { events_.push({when, order_++, std::move(act)}); }
  void after(Duration wait, std::function<void()> act) { at(now_ + wait, std::move(act)); }
  // To a node over the control path; lost if it is gone by then, and kept for it while it is frozen.
  void tell(std::uint32_t node, std::function<void(Node&)> act) {
    after(kLatency, [this, node, act = std::move(act)] { hear(node, act); });
  }
  void hear(std::uint32_t node, const std::function<void(Node&)>& act) {
    if (!nodes_[node].alive) return;
    if (nodes_[node].frozen) {
      nodes_[node].inbox.push_back(act);
      return;
    }
    act(nodes_[node]);
    pump(node);
  }
  void tell_depot(std::function<void()> act) {
    const auto life = depot_life_;
    after(kLatency, [this, life, act = std::move(act)] {
      if (depot_up_ && life == depot_life_) act();
    });
  }
  bool linked(std::uint32_t a, std::uint32_t b) const { return nodes_[a].peers.contains(b); }
  void violate(std::string what) {
    if (out_.violation.empty()) out_.violation = std::move(what);
  }

  void join(std::uint32_t node);
  void befriend(std::uint32_t node);
  void join_depot(std::uint32_t node);
  void connect(std::uint32_t a, std::uint32_t b);
  void disconnect(std::uint32_t a, std::uint32_t b);
  void die(std::uint32_t node);
  void freeze(std::uint32_t node, bool frozen);
  void depot_dies();
  void depot_returns();
  void progress(std::uint32_t node);
  void members();

  void pump(std::uint32_t node);
  void check(std::uint32_t node, const Ask& ask);
  void send(std::uint32_t node, const Ask& ask);
  void depot_data(std::uint32_t node, std::uint32_t span);
  void data(Link& up, PeerId from, std::uint32_t to, std::uint32_t span, std::function<bool()> intact);
  void arrived(std::uint32_t node, PeerId from, std::uint32_t span);
  void verified(std::uint32_t node, PeerId from, std::uint32_t span);
  void announce(std::uint32_t node);
  Bitmap shown(std::uint32_t node) const {
    return nodes_[node].spec.serves ? nodes_[node].picker->have() : Bitmap(s_.spans);
  }

  const Scenario& s_;
  SeededRandom random_;
  Origin origin_;
  Link depot_link_;
  bool depot_up_ = true;
  unsigned depot_life_ = 0;
  std::vector<Node> nodes_;
  std::vector<std::uint32_t> holders_;
  std::uint32_t out_there_ = 0;
  Instant now_{};
  std::uint64_t order_ = 0;
  std::priority_queue<Event> events_;
  std::uint32_t told_active_ = 0;
  std::size_t unfinished_ = 0;
  Outcome out_;
};

Outcome World::run() {
  const auto per_span = Duration(static_cast<Duration::rep>(kSpanBytes / s_.line * 1e9));
  depot_link_.per_span = per_span;
  holders_.resize(s_.spans);
  nodes_.resize(s_.nodes.size());
  out_.took.resize(nodes_.size());
  unfinished_ = nodes_.size();
  for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
    Node& node = nodes_[i];
    node.spec = s_.nodes[i];
    node.up.per_span = node.down.per_span =
        Duration(static_cast<Duration::rep>(static_cast<double>(per_span.count()) / node.spec.rate));
    node.picker = std::make_unique<Picker>(PickerConfig{s_.spans, 8, 4}, Bitmap(s_.spans), random_);
    node.picker->set_credit(s_.credit);
    at(Instant(node.spec.joins), [this, i] { join(i); });
    if (node.spec.dies) at(Instant(*node.spec.dies), [this, i] { die(i); });
    if (node.spec.freezes) at(Instant(*node.spec.freezes), [this, i] { freeze(i, true); });
    if (node.spec.thaws) at(Instant(*node.spec.thaws), [this, i] { freeze(i, false); });
  }
  if (s_.depot_dies) at(Instant(*s_.depot_dies), [this] { depot_dies(); });
  if (s_.depot_returns) at(Instant(*s_.depot_returns), [this] { depot_returns(); });
  at(Instant(kMembersEvery), [this] { members(); });
  while (!events_.empty() && unfinished_ > 0 && out_.violation.empty()) {
    if (events_.top().at > Instant(s_.limit)) break;
    now_ = events_.top().at;
    const auto act = std::move(const_cast<Event&>(events_.top()).act);
    events_.pop();
    ++out_.events;
    act();
  }
  for (const Node& node : nodes_) {
    out_.held.push_back(node.picker->have().count());
    out_.duplicates += node.picker->duplicates();
  }
  return std::move(out_);
}

void World::join(std::uint32_t i) {
  nodes_[i].alive = true;
  join_depot(i);
  befriend(i);
  progress(i);
}

// Connects to random members that serve, as many as its fan-out lacks.
void World::befriend(std::uint32_t i) {
  Node& node = nodes_[i];
  if (!node.alive || node.frozen || node.peers.size() >= s_.fan_out) return;
  std::vector<std::uint32_t> others;
  for (std::uint32_t j = 0; j < nodes_.size(); ++j) {
    const Node& other = nodes_[j];
    if (j == i || !other.alive || !other.spec.serves || other.frozen || other.peers.size() >= 3 * s_.fan_out) continue;
    if (!linked(i, j) && !node.shunned.contains(j) && !other.shunned.contains(i)) others.push_back(j);
  }
  while (node.peers.size() < s_.fan_out && !others.empty()) {
    const auto k = random_.below(others.size());
    connect(i, others[k]);
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(k));
  }
}

void World::join_depot(std::uint32_t i) {
  if (!depot_up_) return;
  origin_.join(i, nodes_[i].picker->have(), now_, nodes_[i].spec.serves);
  nodes_[i].depot = true;
  tell(i, [this](Node& node) {
    node.picker->peer_joined(kDepot, {}, now_);
    node.picker->set_active(origin_.active(now_), now_);
  });
}

void World::connect(std::uint32_t a, std::uint32_t b) {
  if (linked(a, b)) return;
  nodes_[a].peers.insert(b);
  nodes_[b].peers.insert(a);
  nodes_[a].picker->peer_joined(b + 1, shown(b), now_);
  nodes_[b].picker->peer_joined(a + 1, shown(a), now_);
  pump(a), pump(b);
}

void World::disconnect(std::uint32_t a, std::uint32_t b) {
  if (nodes_[a].peers.erase(b) == 0) return;
  nodes_[b].peers.erase(a);
  nodes_[a].picker->peer_left(b + 1, now_);
  nodes_[b].picker->peer_left(a + 1, now_);
  if (nodes_[a].alive) pump(a);
  if (nodes_[b].alive) pump(b);
}

void World::die(std::uint32_t i) {
  Node& node = nodes_[i];
  if (!node.alive) return;
  node.alive = false;
  while (!node.peers.empty()) disconnect(i, *node.peers.begin());
  if (node.depot && depot_up_) origin_.leave(i);
  if (!node.picker->complete()) --unfinished_;
  for (std::uint32_t span = 0; span < s_.spans; ++span) {
    if (node.picker->have().test(span) && --holders_[span] == 0) --out_there_;
  }
}

void World::freeze(std::uint32_t i, bool frozen) {
  nodes_[i].frozen = frozen;
  if (frozen || !nodes_[i].alive) return;
  for (const auto& act : std::exchange(nodes_[i].inbox, {})) hear(i, act);
  if (!nodes_[i].depot) join_depot(i);
  pump(i), progress(i);
}

void World::depot_dies() {
  depot_up_ = false;
  ++depot_life_;
  for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
    if (!std::exchange(nodes_[i].depot, false)) continue;
    nodes_[i].picker->peer_left(kDepot, now_);
    if (nodes_[i].alive) pump(i);
  }
}

void World::depot_returns() {
  depot_up_ = true;
  origin_ = Origin(s_.spans);
  for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].alive && !nodes_[i].frozen) join_depot(i);
  }
}

void World::progress(std::uint32_t i) {
  if (!nodes_[i].alive || nodes_[i].frozen) return;
  if (nodes_[i].depot) {
    tell_depot([this, i, done = nodes_[i].picker->complete()] { origin_.heard(i, done, now_); });
  }
  after(kProgressEvery, [this, i] { progress(i); });
}

void World::members() {
  if (depot_up_ && origin_.active(now_) != told_active_) {
    told_active_ = origin_.active(now_);
    for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
      if (nodes_[i].depot) tell(i, [this, n = told_active_](Node& node) { node.picker->set_active(n, now_); });
    }
  }
  for (std::uint32_t i = 0; depot_up_ && i < nodes_.size(); ++i) befriend(i);
  after(kMembersEvery, [this] { members(); });
}

void World::pump(std::uint32_t i) {
  Node& node = nodes_[i];
  if (!node.alive || node.frozen) return;
  for (const Ask& ask : node.picker->poll(now_)) {
    check(i, ask);
    send(i, ask);
  }
  const auto next = node.picker->next_poll();
  if (!next || (node.polls_at && *node.polls_at <= *next && *node.polls_at > now_)) return;
  node.polls_at = next;
  at(std::max(*next, now_), [this, i, when = *next] {
    if (nodes_[i].polls_at == when) pump(i);
  });
}

void World::check(std::uint32_t i, const Ask& ask) {
  Node& node = nodes_[i];
  if (ask.peer == kDepot ? !node.depot : !linked(i, ask.peer - 1)) {
    violate(fmt::format("node {} asks absent peer {}", i, ask.peer));
  }
  if (ask.kind == Ask::Kind::span && node.picker->have().test(ask.span)) violate("asks for a span that it has");
  if (ask.kind == Ask::Kind::any && (ask.count == 0 || ask.peer != kDepot)) violate("asks any of nobody, or none");
}

void World::send(std::uint32_t i, const Ask& ask) {
  if (ask.peer == kDepot) {
    tell_depot([this, i, ask] {
      if (ask.kind == Ask::Kind::span) {
        origin_.asked(i, ask.span, now_);
        depot_data(i, ask.span);
        return;
      }
      const auto spans = origin_.allot(i, ask.count, now_);
      for (const std::uint32_t span : spans) depot_data(i, span);
      const auto none = ask.count - static_cast<std::uint32_t>(spans.size());
      if (none > 0) tell(i, [this, none](Node& node) { node.picker->none_left(none, now_); });
    });
    return;
  }
  const std::uint32_t peer = ask.peer - 1;
  tell(peer, [this, i, peer, span = ask.span](Node& from) {
    if (!linked(i, peer)) return;
    if (!from.picker->have().test(span)) {
      tell(i, [this, peer, span](Node& node) { node.picker->not_held(peer + 1, span, now_); });
      return;
    }
    data(from.up, peer + 1, i, span, [this, i, peer] { return linked(i, peer); });
  });
}

void World::depot_data(std::uint32_t to, std::uint32_t span) {
  ++out_.depot_sent;
  data(depot_link_, kDepot, to, span,
       [this, to, life = depot_life_] { return depot_up_ && life == depot_life_ && nodes_[to].depot; });
}

void World::data(Link& up, PeerId from, std::uint32_t to, std::uint32_t span, std::function<bool()> intact) {
  at(up.pass(now_) + kLatency, [this, from, to, span, intact = std::move(intact)] {
    if (!intact() || !nodes_[to].alive) return;
    at(nodes_[to].down.pass(now_), [this, from, to, span, intact] {
      hear(to, [this, from, to, span, intact](Node&) {
        if (intact()) arrived(to, from, span);
      });
    });
  });
}

void World::arrived(std::uint32_t i, PeerId from, std::uint32_t span) {
  Node& node = nodes_[i];
  if (node.picker->received(from, span, now_)) {
    if (++node.verifying > s_.credit) violate("more spans are held unverified than there is credit");
    after(kVerify, [this, i, from, span] { hear(i, [this, i, from, span](Node&) { verified(i, from, span); }); });
  }
}

void World::verified(std::uint32_t i, PeerId from, std::uint32_t span) {
  Node& node = nodes_[i];
  --node.verifying;
  if (from != kDepot && nodes_[from - 1].spec.bad) {
    node.picker->bad(span, now_);
    node.shunned.insert(from - 1);
    disconnect(i, from - 1);
    // BadPeer: the depot lists it no longer.
    if (node.depot) {
      tell_depot([this, from] {
        if (nodes_[from - 1].depot) origin_.join(from - 1, nodes_[from - 1].picker->have(), now_, false);
      });
    }
    return;
  }
  node.picker->had(span, now_);
  if (holders_[span]++ == 0) ++out_there_;
  if (node.fresh_have.empty()) after(kHaveEvery, [this, i] { announce(i); });
  node.fresh_have.push_back(span);
  if (node.picker->complete()) {
    out_.took[i] = now_ - Instant(node.spec.joins);
    --unfinished_;
  }
  if (s_.depot_dies_when_all_is_out && depot_up_ && out_there_ == s_.spans) depot_dies();
}

void World::announce(std::uint32_t i) {
  Node& node = nodes_[i];
  if (!node.alive) return;
  if (node.frozen) {
    node.inbox.emplace_back([this, i](Node&) { announce(i); });
    return;
  }
  const Spans spans = std::make_shared<std::vector<std::uint32_t>>(std::exchange(node.fresh_have, {}));
  if (node.depot) {
    tell_depot([this, i, spans] {
      for (const std::uint32_t span : *spans) origin_.has(i, span, now_);
    });
  }
  if (!node.spec.serves) return;
  for (const std::uint32_t peer : node.peers) {
    tell(peer, [this, i, spans](Node& other) {
      for (const std::uint32_t span : *spans) other.picker->peer_has(i + 1, span, now_);
    });
  }
}

}  // namespace

Duration Outcome::slowest() const {
  Duration most{};
  for (const auto& t : took) most = std::max(most, t.value_or(Duration{}));
  return most;
}

std::size_t Outcome::complete() const {
  return static_cast<std::size_t>(std::ranges::count_if(took, [](const auto& t) { return t.has_value(); }));
}

Outcome simulate(const Scenario& scenario) { return World(scenario).run(); }

void report(const Scenario& scenario, const Outcome& out) {
  fmt::print(
      "{:<34} {:>4} nodes {:>5} spans  done {:>4}  slowest {:>7.3f} s = {:>5.2f} x line  depot {:>5.2f} x  "
      "duplicates {:>6.2f} %\n",
      scenario.name, scenario.nodes.size(), scenario.spans, out.complete(),
      std::chrono::duration<double>(out.slowest()).count(),
      std::chrono::duration<double>(out.slowest()) / std::chrono::duration<double>(scenario.ideal()),
      static_cast<double>(out.depot_sent) / scenario.spans,
      100.0 * static_cast<double>(out.duplicates) /
          (static_cast<double>(scenario.spans) * static_cast<double>(scenario.nodes.size())));
}

}  // namespace stampede::swarm

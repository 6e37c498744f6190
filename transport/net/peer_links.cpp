#include "transport/net/peer_links.h"

#include <algorithm>

#include "transport/net/depot_link.h"

namespace stampede::net {

namespace {
constexpr Duration kTick = std::chrono::milliseconds(50);
// Of two that know of each other the one with the smaller key dials; the other waits this long for it.
constexpr Duration kPoliteness = std::chrono::milliseconds(150);
constexpr Duration kLastBackoff = std::chrono::seconds(8);
}  // namespace

PeerLinks::PeerLinks(Loop& loop, const Identity& identity, std::shared_ptr<TlsContext> dial_tls, Swarm swarm, Events events)
    : loop_(loop),
      own_key_(identity.key.public_key()),
      tls_(std::move(dial_tls)),
      swarm_(std::move(swarm)),
      events_(std::move(events)),
      self_(std::make_shared<PeerLinks*>(this)),
      ticker_(loop, kTick, [this] { tick(); }) {}

PeerLinks::~PeerLinks() {
  *self_ = nullptr;
  for (auto& [id, peer] : peers_) peer.connection->close({Code::interrupted, "stopping"});
}

void PeerLinks::set_members(const std::vector<wire::Member>& members) {
  std::map<wire::Key, Candidate> fresh;
  const Instant now = system_clock().now();
  for (const wire::Member& member : members) {
    if (member.node == own_key_ || banned_.contains(member.node)) continue;
    if (const auto known = candidates_.find(member.node); known != candidates_.end() && known->second.member == member) {
      fresh.insert(*known);
      continue;
    }
    const bool polite = swarm_.listening && member.node < own_key_;
    fresh[member.node] = {member, polite ? now + kPoliteness : now, kTick, false};
  }
  candidates_ = std::move(fresh);
  tick();
}

void PeerLinks::tick() {
  const Instant now = system_clock().now();
  auto dialled = fan_out();
  for (auto& [key, candidate] : candidates_) {
    if (dialled >= kMaxDialled || peers_.size() >= kMaxPeers) break;
    if (candidate.dialling || now < candidate.not_before || by_key_.contains(key)) continue;
    dial(candidate);
    ++dialled;
  }
  if (now < next_beat_) return;
  next_beat_ = now + kHeartbeat;
  for (auto& [id, peer] : peers_) {
    if (now - peer.connection->last_heard() > kSilence)
      peer.connection->close({Code::unreachable, "silent for too long"});
    else
      peer.connection->send(wire::Ping{});
  }
}

// Dials under way count: they are answered later, all at once perhaps.
std::size_t PeerLinks::fan_out() const {
  const auto made = std::ranges::count_if(peers_, [](const auto& p) { return p.second.dialled; });
  const auto under_way = std::ranges::count_if(candidates_, [](const auto& c) { return c.second.dialling; });
  return static_cast<std::size_t>(made + under_way);
}

void PeerLinks::dial(Candidate& candidate) {
  candidate.dialling = true;
  const wire::Key key = candidate.member.node;
  auto connection = std::make_shared<std::weak_ptr<Connection>>();  // weak: it owns these very handlers
  Connection::Events events;
  // Taken for a failure until the other side joins.
  const auto settle = [self = self_, key] {
    if (*self == nullptr) return;
    const auto found = (*self)->candidates_.find(key);
    if (found == (*self)->candidates_.end()) return;
    Candidate& mine = found->second;
    mine.dialling = false;
    mine.backoff = std::min(mine.backoff * 2, kLastBackoff);
    mine.not_before = system_clock().now() + mine.backoff;
  };
  events.ready = [self = self_, connection, settle, key] {
    settle();
    const Connection::Ptr mine = connection->lock();
    if (!mine) return;
    if (*self == nullptr) return mine->close({Code::interrupted, "stopping"});
    // Whoever answers at that address must be the node that the depot named.
    if (mine->peer()->key != key) return mine->close({Code::peer_untrusted, "another node answers at this address"});
    (*self)->ready(mine, true);
  };
  events.closed = [settle](const Error&) { settle(); };
  *connection =
      Connection::dial(loop_, {candidate.member.address, candidate.member.port}, tls_, Line::peers, std::move(events));
}

// Of two lines between the same two nodes both keep the one that the node with the smaller key dialled.
bool PeerLinks::keeps(const Peer& older, bool newer_dialled) const {
  const bool we_should_dial = own_key_ < older.key;
  return older.dialled == we_should_dial || newer_dialled != we_should_dial;
}

void PeerLinks::ready(const Connection::Ptr& connection, bool dialled) {
  const auto& identity = connection->peer();
  if (!identity || identity->role != trust::Role::node || identity->key == own_key_ || banned_.contains(identity->key) ||
      peers_.size() >= kMaxPeers)
    return connection->close({Code::peer_untrusted, "not a peer of ours"});
  if (const auto other = by_key_.find(identity->key); other != by_key_.end()) {
    if (keeps(peers_.at(other->second), dialled)) return connection->close({Code::busy, "already connected"});
    const Connection::Ptr old = peers_.at(other->second).connection;
    gone(other->second);
    old->close({Code::busy, "connected twice"});
  }
  const swarm::PeerId id = next_id_++;
  Peer& peer = peers_[id];
  peer.id = id;
  peer.key = identity->key;
  peer.connection = connection;
  peer.dialled = dialled;
  by_key_[peer.key] = id;
  Connection::Events events;
  events.message = [self = self_, id](wire::Message message) {
    if (*self == nullptr) return;
    if (const auto found = (*self)->peers_.find(id); found != (*self)->peers_.end())
      (*self)->take(found->second, std::move(message));
  };
  events.drained = [self = self_, id] {
    if (*self == nullptr) return;
    if (const auto found = (*self)->peers_.find(id); found != (*self)->peers_.end()) (*self)->serve(found->second);
  };
  events.closed = [self = self_, id](const Error&) {
    if (*self != nullptr) (*self)->gone(id);
  };
  connection->set_events(std::move(events));
  connection->send(swarm_.join());
  tell_partial(connection);
}

void PeerLinks::gone(swarm::PeerId id) {
  const auto found = peers_.find(id);
  if (found == peers_.end()) return;
  const bool joined = found->second.joined;
  by_key_.erase(found->second.key);
  peers_.erase(found);
  if (joined) events_.left(id);
}

void PeerLinks::take(Peer& peer, wire::Message message) {
  const swarm::PeerId id = peer.id;
  const auto misbehaved = [&](const char* what) { peer.connection->close({Code::protocol, what}); };
  if (const auto* join = std::get_if<wire::Join>(&message)) return take_join(peer, *join);
  if (std::holds_alternative<wire::Ping>(message)) return peer.connection->send(wire::Pong{});
  if (std::holds_alternative<wire::Pong>(message) || std::holds_alternative<wire::ErrorMessage>(message)) return;
  if (!peer.joined) return misbehaved("a peer must join first");
  if (auto* partial = std::get_if<wire::Partial>(&message)) {
    peer.partial = PartialSpans(std::move(partial->lacks));
    return;
  }
  if (const auto* have = std::get_if<wire::Have>(&message)) {
    for (const std::uint32_t span : have->spans) {
      if (span >= swarm_.span_count) return misbehaved("no such span");
      events_.has(id, span);
    }
  } else if (const auto* request = std::get_if<wire::Request>(&message)) {
    if (request->span >= swarm_.span_count || peer.owed.size() >= kMaxOwed) return misbehaved("too many or wrong requests");
    peer.owed.push_back(request->span);
    serve(peer);
  } else {
    take_answer(peer, message);
  }
}

// Each request has one answer. What was asked of a peer and came late is its right; anything else is not.
void PeerLinks::take_answer(Peer& peer, wire::Message& message) {
  auto* data = std::get_if<wire::SpanData>(&message);
  const auto* missing = std::get_if<wire::NotHeld>(&message);
  if (data == nullptr && missing == nullptr)
    return peer.connection->close({Code::protocol, "a message that peers do not send"});
  const auto request = peer.asked.find(data != nullptr ? data->span : missing->span);
  if (request == peer.asked.end()) return peer.connection->close({Code::protocol, "a span that nobody asked for"});
  peer.asked.erase(request);
  if (data != nullptr)
    events_.span(peer.id, std::move(*data));
  else
    events_.not_held(peer.id, missing->span);
}

void PeerLinks::set_partial(PartialSpans partial) {
  swarm_.partial = std::move(partial);
  for (const auto& [id, peer] : peers_) tell_partial(peer.connection);
}

void PeerLinks::tell_partial(const Connection::Ptr& connection) const {
  if (!swarm_.partial.empty() && (connection->features() & wire::kPartialSpans) != 0)
    connection->send(wire::Partial{swarm_.partial.lacks()});
}

void PeerLinks::take_join(Peer& peer, const wire::Join& join) {
  auto bitmap = Bitmap::from_bytes(join.span_count, join.have);
  if (peer.joined || join.image != swarm_.image || join.span_count != swarm_.span_count || !bitmap)
    return peer.connection->close({Code::protocol, "a join for another image"});
  peer.joined = true;
  if (const auto candidate = candidates_.find(peer.key); candidate != candidates_.end()) candidate->second.backoff = kTick;
  events_.joined(peer.id, std::move(*bitmap));
}

// Queues no more than the connection should hold; the rest is owed until it has drained.
void PeerLinks::serve(Peer& peer) {
  while (!peer.owed.empty() && !peer.fetching && peer.connection->is_open() && peer.connection->queued() < kQueueLimit) {
    const std::uint32_t index = peer.owed.front();
    peer.owed.pop_front();
    if (auto span = peer.partial.cut(swarm_.held->span({index})))
      give(peer, index, std::move(span));
    else
      fetch(peer, index);
  }
}

void PeerLinks::fetch(Peer& peer, std::uint32_t span) {
  peer.fetching = true;
  swarm_.held->fetch({span}, [&loop = loop_, self = self_, id = peer.id, span](auto sealed) {
    loop.post([self, id, span, sealed = std::move(sealed)]() mutable {
      if (*self == nullptr) return;
      const auto found = (*self)->peers_.find(id);
      if (found == (*self)->peers_.end()) return;
      found->second.fetching = false;
      (*self)->give(found->second, span, found->second.partial.cut(std::move(sealed)));
      (*self)->serve(found->second);
    });
  });
}

void PeerLinks::give(Peer& peer, std::uint32_t span, std::shared_ptr<const chunker::SealedSpan> sealed) {
  if (!sealed) return peer.connection->send(wire::NotHeld{span});
  served_bytes_ += sealed->bytes.size();
  peer.connection->send_span(std::move(sealed));
}

void PeerLinks::request(swarm::PeerId peer, std::uint32_t span) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return;
  found->second.asked.insert(span);
  found->second.connection->send(wire::Request{span});
}

void PeerLinks::announce(const std::vector<std::uint32_t>& spans) {
  for (auto& [id, peer] : peers_) peer.connection->send(wire::Have{spans});
}

void PeerLinks::ban(const wire::Key& node) {
  banned_.insert(node);
  candidates_.erase(node);
  const auto found = by_key_.find(node);
  if (found == by_key_.end()) return;
  const Connection::Ptr connection = peers_.at(found->second).connection;
  gone(found->second);
  connection->close({Code::content_altered, "served altered bytes"});
}

const wire::Key* PeerLinks::key_of(swarm::PeerId peer) const {
  const auto found = peers_.find(peer);
  return found == peers_.end() ? nullptr : &found->second.key;
}

}  // namespace stampede::net

// What a target does on its loop: the swarm, multicast, and the line to the depot.
#include <algorithm>
#include <utility>

#include "transport/net/node_impl.h"
#include "transport/net/remote_error.h"
#include "transport/net/span_message.h"

namespace stampede::net {

namespace {
// Spans of multicast with altered bytes, after which it is not listened to.
constexpr unsigned kBadCasts = 8;
}  // namespace

void SwarmNode::depot_up() {
  {
    const std::lock_guard lock(mutex_);
    status_.depot_up = true;
    patience_.up(system_clock().now());
    changed_.notify_all();
  }
  if (picker_) rejoin();
}

void SwarmNode::depot_down(const Error& error) {
  const Instant now = system_clock().now();
  {
    const std::lock_guard lock(mutex_);
    status_.depot_up = false;
    patience_.down(now, error.message);
    changed_.notify_all();
  }
  if (is_final(error)) set_fatal(error);
  if (!picker_ || !std::exchange(depot_joined_, false)) return;
  depot_serves_ = false;
  picker_->peer_left(swarm::kDepot, now);
  pump();
}

// At once, though peers come only with the swarm: a port that is in use must be known before a disk is touched.
Result<> SwarmNode::listen() {
  if (!options_.listen || !trades_with_peers()) return {};
  STAMPEDE_TRY(auto tls, TlsContext::server(options_.identity, true));
  const auto ready = [this](const Connection::Ptr& connection) {
    if (peers_)
      peers_->accepted(connection);
    else
      connection->close({Code::busy, "not in a swarm yet"});
  };
  STAMPEDE_TRY(listener_, Listener::open(loop_, *options_.listen, std::move(tls), Line::peers,
                                         {.connections = kMaxPeers, .handshakes = kMaxPeers}, ready));
  port_ = listener_->local().port;
  return {};
}

Result<> SwarmNode::start_swarm(SwarmJob job) {
  job_ = std::move(job);
  const Instant now = touched();
  picker_.emplace(swarm::PickerConfig{.span_count = job_.span_count}, job_.have, system_random());
  announce_ = std::make_unique<Alarm>(loop_, [this] { announce(); });
  repoll_ = std::make_unique<Alarm>(loop_, [this] { pump(); });
  PeerLinks::Events events;
  events.joined = [this](swarm::PeerId peer, Bitmap has) {
    picker_->peer_joined(peer, std::move(has), system_clock().now());
    pump();
  };
  events.left = [this](swarm::PeerId peer) {
    picker_->peer_left(peer, system_clock().now());
    pump();
  };
  events.has = [this](swarm::PeerId peer, std::uint32_t span) {
    picker_->peer_has(peer, span, system_clock().now());
    if (!repoll_set_) repoll_->set(system_clock().now());  // after the whole batch
    repoll_set_ = true;
  };
  events.not_held = [this](swarm::PeerId peer, std::uint32_t span) {
    picker_->not_held(peer, span, system_clock().now());
    pump();
  };
  events.span = [this](swarm::PeerId peer, wire::SpanData data) { take_span(peer, std::move(data)); };
  peers_ = std::make_unique<PeerLinks>(loop_, options_.identity, dial_tls_,
                                       PeerLinks::Swarm{job_.image.digest, job_.span_count, job_.held,
                                                        options_.listen.has_value(), [this] { return join_message(); }},
                                       std::move(events));
  picker_->set_active(1, now);
  picker_->set_credit(credit_ = job_.credit);
  refresh();
  rejoin();
  return {};
}

wire::Join SwarmNode::join_message() const {
  const ByteView bits = picker_->have().bytes();
  return {job_.image.digest, port_, job_.span_count, copy(bits)};
}

void SwarmNode::report_again() {
  if (last_report_ && depot_) depot_->send(*last_report_);
}

void SwarmNode::rejoin() {
  if (!depot_->up() || depot_joined_) return;
  depot_joined_ = true;
  depot_->send(join_message());
  tell_partial();
  report_again();
}

void SwarmNode::tell_partial() {
  if (depot_joined_ && !partial_.empty() && (depot_->features() & wire::kPartialSpans) != 0)
    depot_->send(wire::Partial{partial_.lacks()});
}

// With the depot's answer to the join: an offer of multicast comes before it, so that nothing is asked for that will come.
void SwarmNode::depot_takes_part(Instant now) {
  if (std::exchange(depot_serves_, true)) return;
  Bitmap all(job_.span_count);
  for (std::uint32_t i = 0; i < job_.span_count; ++i) all.set(i);
  picker_->peer_joined(swarm::kDepot, std::move(all), now);
}

void SwarmNode::from_depot(wire::Message message) {
  const Instant now = system_clock().now();
  if (auto* error = std::get_if<wire::ErrorMessage>(&message)) {
    if (const Error told = remote_error(*error); !passes(told)) set_fatal(told);
  } else if (!picker_) {
    return;
  } else if (auto* members = std::get_if<wire::Members>(&message)) {
    set_active(members->active);
    depot_takes_part(now);
    if (trades_with_peers()) {
      picker_->set_active(members->active, now);
      peers_->set_members(members->members);
    }
    pump();
  } else if (auto* none = std::get_if<wire::NoneLeft>(&message)) {
    picker_->none_left(none->count, now);
    pump();
  } else if (auto* data = std::get_if<wire::SpanData>(&message)) {
    if (data->span < job_.span_count) take_span(swarm::kDepot, std::move(*data));
  } else if (auto* missing = std::get_if<wire::NotHeld>(&message)) {
    if (missing->span < job_.span_count) not_readable(missing->span, now);
  } else if (auto* offer = std::get_if<wire::MulticastOffer>(&message)) {
    offer_ = std::move(*offer);
    listen_to_multicast();
  } else if (auto* news = std::get_if<wire::MulticastNews>(&message)) {
    if (catcher_) catcher_->news(*news);
    if (news->end == wire::StreamEnd::too_slow) dismissed();
  }
}

// The depot's store has lost a span: perhaps a peer has it.
void SwarmNode::not_readable(std::uint32_t span, Instant now) {
  picker_->not_held(swarm::kDepot, span, now);
  unreadable_.insert(span);
  pump();
}

void SwarmNode::take_span(swarm::PeerId peer, wire::SpanData data) {
  const bool wanted = picker_->received(peer, data.span, system_clock().now());
  if (wanted) touched();
  if (wanted && peer == swarm::kDepot) depot_->of_use();
  {
    const std::lock_guard lock(mutex_);
    (peer == swarm::kDepot ? status_.from_depot : status_.from_peers) += data.bytes.size();
  }
  using Path = chunker::Origin::Path;
  const wire::Key* key = peers_->key_of(peer);
  if (wanted)
    job_.inbox->deliver(sealed_span(std::move(data)),
                        key == nullptr ? chunker::Origin{Path::depot, "depot"} : chunker::Origin{Path::peer, to_hex(*key)});
  pump();
}

// Once the disk is ready, and it is known what it lacks: until then the stream would pass by unused.
void SwarmNode::listen_to_multicast() {
  if (!offer_ || credit_ == 0 || defers_ || picker_->complete()) return;
  const wire::MulticastOffer offer = *std::exchange(offer_, std::nullopt);
  if (!listens_to_multicast()) return;
  catcher_.reset();
  stale_.clear();
  Catcher::Events events;
  events.span = [this](wire::SpanData data) { caught(std::move(data)); };
  events.stale = [this](const std::vector<std::uint32_t>& spans) {
    for (const std::uint32_t span : spans) picker_->release(span, system_clock().now());
    stale_.insert(spans.begin(), spans.end());
    pump();
  };
  events.quiet = [this] {
    picker_->release_all(system_clock().now());
    pump();
  };
  events.loud = [this] { expect_multicast(); };
  events.report = [this](const wire::MulticastReport& report) { depot_->send(report); };
  auto opened = Catcher::open(loop_, offer, interface_of(depot_->local_address()), picker_->have(), std::move(events));
  if (!opened) return notice(fmt::format("multicast is not used: {}", opened.error().message));
  catcher_ = *std::move(opened);
  if (auto trouble = catcher_->trouble(); !trouble.empty()) notice(std::move(trouble));
  expect_multicast();
}

// All but what will not come any more.
void SwarmNode::expect_multicast() {
  picker_->expect_all();
  for (const std::uint32_t span : stale_) picker_->release(span, system_clock().now());
}

// What others lack of it may be less than we do: then it is as if it had not come.
void SwarmNode::caught(wire::SpanData data) {
  const bool enough = partial_.are_enough(data.span, data.parts);
  if (!enough) catcher_->bad(data.span);
  const bool wanted = enough && picker_->caught(data.span);
  if (wanted) touched();
  {
    const std::lock_guard lock(mutex_);
    status_.from_multicast += data.bytes.size();
    if (!status_.multicast_began) status_.multicast_began = catcher_->began();
  }
  if (wanted) job_.inbox->deliver(sealed_span(std::move(data)), {chunker::Origin::Path::multicast, "multicast"});
}

// Whoever has the stream's key can send in the depot's name; one who does is not worth listening to.
void SwarmNode::doubt_multicast() {
  if (++bad_casts_ < kBadCasts || !catcher_) return;
  catcher_.reset();
  picker_->release_all(system_clock().now());
  notice(fmt::format("multicast is not used any more: {} spans of it had altered bytes", bad_casts_));
}

// Out of the group, too: what still came would take the line from what it gets instead.
void SwarmNode::dismissed() {
  catcher_.reset();
  picker_->release_all(system_clock().now());
  pump();
  notice("this machine does not keep up with the multicast stream: it gets the rest from peers and the depot");
  const std::lock_guard lock(mutex_);
  status_.left_multicast = true;
}

void SwarmNode::notice(std::string text) {
  const std::lock_guard lock(mutex_);
  notice_ = std::move(text);
}

void SwarmNode::drop_peer(chunker::SpanIndex span, const std::string& node) {
  const auto key = trust::parse_public_key(node);
  if (!key) return;
  peers_->ban(*key);
  depot_->send(wire::BadPeer{*key, span.value});
  const std::lock_guard lock(mutex_);
  if (std::ranges::find(status_.bad_peers, node) == status_.bad_peers.end()) status_.bad_peers.push_back(node);
}

void SwarmNode::announce() {
  if (fresh_.empty()) return;
  depot_->send(wire::Have{fresh_});
  peers_->announce(fresh_);
  fresh_.clear();
}

// With others there, one stream will bring all of them what they lack: what is asked for before it is listened to would
// leave the depot once for each.
bool SwarmNode::waits_for_multicast() {
  if (!defers_ || !offer_ || !listens_to_multicast()) return false;
  const std::lock_guard lock(mutex_);
  return status_.active > 1;
}

void SwarmNode::pump() {
  repoll_set_ = false;
  if (waits_for_multicast()) return refresh();
  const Instant now = system_clock().now();
  for (const swarm::Ask& ask : picker_->poll(now)) {
    if (ask.kind == swarm::Ask::Kind::any)
      depot_->send(wire::WantAny{static_cast<std::uint16_t>(ask.count)});
    else if (ask.peer == swarm::kDepot)
      depot_->send(wire::Request{ask.span});
    else
      peers_->request(ask.peer, ask.span);
  }
  if (const auto next = picker_->next_poll()) repoll_->set(*next);
  refresh();
}

void SwarmNode::set_active(std::uint32_t active) {
  const std::lock_guard lock(mutex_);
  status_.active = active;
  changed_.notify_all();
}

void SwarmNode::refresh() {
  const std::lock_guard lock(mutex_);
  status_.peers = static_cast<std::uint32_t>(peers_ ? peers_->count() : 0);
  status_.served = peers_ ? peers_->served_bytes() : 0;
  status_.duplicates = picker_->duplicates();
  if (catcher_) {
    const auto figures = catcher_->figures();
    status_.multicast_packets = figures.packets;
    status_.multicast_lost = figures.lost;
  }
  status_.spans_held = picker_->have().count();
  refused_.reset();
  if (!unreadable_.empty())
    refused_ =
        Error{Code::store_damaged, fmt::format("span {} cannot be read from the depot's store, and no peer has it; run "
                                               "`stampede store check` there",
                                               *unreadable_.begin())};
  if (!status_.complete && picker_->complete()) {
    status_.complete = true;
    changed_.notify_all();
  }
}

}  // namespace stampede::net

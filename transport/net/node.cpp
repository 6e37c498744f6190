#include "transport/net/node.h"

#include <algorithm>
#include <condition_variable>
#include <future>
#include <map>
#include <mutex>

#include "transport/net/depot_link.h"
#include "transport/net/peer_links.h"
#include "transport/net/waiting.h"
#include "transport/swarm/picker.h"

namespace stampede::net {

namespace {

constexpr Duration kTick = std::chrono::milliseconds(100);
// Spans verified within this time are announced together.
constexpr Duration kAnnounceEvery = std::chrono::milliseconds(3);
constexpr Duration kDepotGone = std::chrono::seconds(10);

// Errors that no waiting cures.
bool is_final(const Error& error) { return class_of(error.code) == "trust" || error.code == Code::protocol; }

class SwarmNode final : public Node {
 public:
  explicit SwarmNode(NodeOptions options) : options_(std::move(options)), started_(system_clock().now()) {}

  ~SwarmNode() override {
    loop_.run_and_wait([this] {
      listener_.reset();
      if (depot_) depot_->finish();
      announce_.reset();
      repoll_.reset();
      peers_.reset();
    });
    // A moment for what is queued (the last report); the other side may be gone.
    loop_.run_and_wait([this] { depot_.reset(); });
    loop_.stop();
  }

  Result<> open() {
    STAMPEDE_TRY(dial_tls_, TlsContext::client(options_.identity, options_.site));
    STAMPEDE_CHECK(listen());
    DepotLink::Events events;
    events.up = [this] { depot_up(); };
    events.down = [this](const Error& error) { depot_down(error); };
    events.message = [this](wire::Message message) { from_depot(std::move(message)); };
    loop_.run_and_wait([&] { depot_ = std::make_unique<DepotLink>(loop_, options_.depot, dial_tls_, std::move(events)); });
    return {};
  }

  Result<> wait_for_depot() override {
    std::unique_lock lock(mutex_);
    while (!status_.depot_up) {
      if (fatal_) return pass(*fatal_);
      if (auto ended = patience_left(); !ended) return ended;
      warn_of_waiting();
      changed_.wait_for(lock, kTick);
    }
    return {};
  }

  Result<chunker::SignedTagRecord> resolve(const chunker::ImageName& name) override {
    STAMPEDE_TRY(auto messages, ask(wire::Resolve{name.name, name.tag}, 1));
    auto* record = std::get_if<wire::TagRecordMessage>(messages.data());
    if (record == nullptr) return fail(Code::protocol, "the depot answered with something else than a tag record");
    return chunker::SignedTagRecord{std::move(record->record), record->signer, record->signature};
  }

  Result<std::vector<chunker::SealedChunk>> fetch(const std::vector<chunker::ChunkId>& ids) override {
    std::vector<chunker::SealedChunk> chunks;
    for (std::size_t at = 0; at < ids.size(); at += 64) {
      wire::Fetch question;
      for (std::size_t i = at; i < std::min(ids.size(), at + 64); ++i) question.ids.push_back(ids[i].digest);
      const std::size_t count = question.ids.size();
      STAMPEDE_TRY(auto messages, ask(question, count));
      for (auto& message : messages) {
        auto* object = std::get_if<wire::Object>(&message);
        if (object == nullptr) return fail(Code::protocol, "the depot answered with something else than an object");
        chunks.push_back(
            {{object->id}, static_cast<chunker::Codec>(object->codec), object->plain_size, std::move(object->sealed)});
      }
    }
    return chunks;
  }

  Result<std::uint64_t> store_receipt(ByteView receipt, const trust::Signature& signature) override {
    STAMPEDE_TRY(auto messages, ask(wire::Receipt{copy(receipt), signature}, 1));
    const auto* stored = std::get_if<wire::ReceiptStored>(messages.data());
    if (stored == nullptr) return fail(Code::protocol, "the depot answered with something else than a receipt's number");
    return stored->number;
  }

  Result<> join(SwarmJob job) override {
    Result<> result;
    loop_.run_and_wait([&] { result = start_swarm(std::move(job)); });
    return result;
  }

  void set_credit(std::uint32_t spans) override {
    loop_.post([this, spans] {
      if (!picker_) return;
      picker_->set_credit(spans);
      pump();
    });
  }

  void had(chunker::SpanIndex span) override {
    loop_.post([this, span] {
      if (!picker_) return;
      if (fresh_.empty()) announce_->set(system_clock().now() + kAnnounceEvery);
      fresh_.push_back(span.value);
      picker_->had(span.value, touched());
      pump();
    });
  }

  void bad(chunker::SpanIndex span, const chunker::Origin& origin) override {
    loop_.post([this, span, origin] {
      if (!picker_) return;
      picker_->bad(span.value, system_clock().now());
      if (origin.path == chunker::Origin::Path::peer)
        drop_peer(span, origin.node);
      else
        set_fatal({Code::content_altered, fmt::format("the depot sent span {} with altered bytes", span.value)});
      pump();
    });
  }

  Result<> wait_complete(const std::function<bool(const SwarmStatus&)>& tick) override {
    while (true) {
      const SwarmStatus now = status();
      if (!tick(now)) return fail(Code::interrupted, "interrupted");
      if (now.complete) return {};
      std::unique_lock lock(mutex_);
      if (fatal_) return pass(*fatal_);
      if (!status_.depot_up) {
        if (auto ended = patience_left(); !ended) return ended;
        warn_of_waiting();
      }
      changed_.wait_for(lock, kTick, [&] { return status_.complete || fatal_; });
    }
  }

  void report(const StageReport& report) override {
    loop_.post([this, report] {
      last_report_ = wire::Progress{report.stage, report.finished, report.total, report.verified, report.durable};
      if (depot_) depot_->send(*last_report_);
    });
  }

  void linger(std::optional<Duration> time, const std::function<bool(const SwarmStatus&)>& tick) override {
    const Instant start = system_clock().now();
    while (true) {
      const SwarmStatus now = status();
      if (!tick(now)) return;
      std::unique_lock lock(mutex_);
      const Instant t = system_clock().now();
      if (time ? t - start >= *time : now.active == 0 || (!status_.depot_up && t - lost_ > kDepotGone)) return;
      changed_.wait_for(lock, kTick);
    }
  }

  SwarmStatus status() override {
    const std::lock_guard lock(mutex_);
    return status_;
  }

 private:
  using Answer = Result<std::vector<wire::Message>>;

  // Asks again where the line broke; gives up when the patience does.
  Answer ask(const wire::Message& question, std::size_t replies) {
    while (true) {
      STAMPEDE_CHECK(wait_for_depot());
      auto promise = std::make_shared<std::promise<Answer>>();
      loop_.post([this, &question, replies, promise] {
        depot_->ask(question, replies, [promise](Answer answer) { promise->set_value(std::move(answer)); });
      });
      auto answer = promise->get_future().get();
      if (answer || answer.error().code != Code::unreachable) return answer;
    }
  }

  // With the lock held: an error once the depot has been away, and nothing has come from anybody, for the whole patience.
  Result<> patience_left() const {
    const Instant since = std::max({started_, lost_, last_span_});
    if (system_clock().now() - since < options_.patience) return {};
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(options_.patience).count();
    if (!ever_up_)
      return fail(Code::unreachable,
                  "no depot at {} after {} s ({}); check the address and that `stampede serve` runs there",
                  options_.depot.text(), seconds, last_error_);
    return fail(Code::patience_ended, "the depot at {} has been away for {} s and no peer has what is missing ({})",
                options_.depot.text(), seconds, last_error_);
  }

  // With the lock held: says once for each absence that the depot is waited for.
  void warn_of_waiting() {
    if (warned_ || system_clock().now() - std::max(started_, lost_) < kQuietWait) return;
    warned_ = true;
    options_.warn(waiting_text(options_.depot, options_.patience, last_error_));
  }

  void set_fatal(Error error) {
    const std::lock_guard lock(mutex_);
    if (!fatal_) fatal_ = std::move(error);
    changed_.notify_all();
  }

  // Notes that something useful arrived; the patience starts again.
  Instant touched() {
    const Instant now = system_clock().now();
    const std::lock_guard lock(mutex_);
    last_span_ = now;
    return now;
  }

  void depot_up() {
    {
      const std::lock_guard lock(mutex_);
      status_.depot_up = ever_up_ = true;
      warned_ = false;
      changed_.notify_all();
    }
    if (picker_) rejoin();
  }

  void depot_down(const Error& error) {
    const Instant now = system_clock().now();
    {
      const std::lock_guard lock(mutex_);
      if (status_.depot_up) lost_ = now;
      status_.depot_up = false;
      last_error_ = error.message;
      changed_.notify_all();
    }
    if (is_final(error)) set_fatal(error);
    if (!picker_ || !std::exchange(depot_joined_, false)) return;
    picker_->peer_left(swarm::kDepot, now);
    pump();
  }

  // At once, though peers come only with the swarm: a port that is in use must be known before a disk is touched.
  Result<> listen() {
    if (!options_.listen) return {};
    STAMPEDE_TRY(auto tls, TlsContext::server(options_.identity, true));
    const auto ready = [this](const Connection::Ptr& connection) {
      if (peers_)
        peers_->accepted(connection);
      else
        connection->close({Code::busy, "not in a swarm yet"});
    };
    STAMPEDE_TRY(listener_, Listener::open(loop_, *options_.listen, std::move(tls),
                                           {.connections = kMaxPeers, .handshakes = kMaxPeers}, ready));
    port_ = listener_->local().port;
    return {};
  }

  Result<> start_swarm(SwarmJob job) {
    job_ = std::move(job);
    const Instant now = system_clock().now();
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
    picker_->set_credit(job_.credit);
    refresh();
    rejoin();
    return {};
  }

  wire::Join join_message() const {
    const ByteView bits = picker_->have().bytes();
    return {job_.image.digest, port_, job_.span_count, copy(bits)};
  }

  void rejoin() {
    if (!depot_->up() || depot_joined_) return;
    depot_joined_ = true;
    depot_->send(join_message());
    if (last_report_) depot_->send(*last_report_);
    Bitmap all(job_.span_count);
    for (std::uint32_t i = 0; i < job_.span_count; ++i) all.set(i);
    picker_->peer_joined(swarm::kDepot, std::move(all), system_clock().now());
    pump();
  }

  void from_depot(wire::Message message) {
    const Instant now = system_clock().now();
    if (auto* error = std::get_if<wire::ErrorMessage>(&message)) {
      set_fatal({static_cast<Code>(error->code), fmt::format("the depot says: {}", error->text)});
    } else if (!picker_) {
      return;
    } else if (auto* members = std::get_if<wire::Members>(&message)) {
      set_active(members->active);
      picker_->set_active(members->active, now);
      peers_->set_members(members->members);
      pump();
    } else if (auto* none = std::get_if<wire::NoneLeft>(&message)) {
      picker_->none_left(none->count, now);
      pump();
    } else if (auto* data = std::get_if<wire::SpanData>(&message)) {
      if (data->span < job_.span_count) take_span(swarm::kDepot, std::move(*data));
    } else if (auto* missing = std::get_if<wire::NotHeld>(&message)) {
      if (missing->span < job_.span_count) picker_->not_held(swarm::kDepot, missing->span, now);
      pump();
    }
  }

  void take_span(swarm::PeerId peer, wire::SpanData data) {
    const bool wanted = picker_->received(peer, data.span, touched());
    {
      const std::lock_guard lock(mutex_);
      (peer == swarm::kDepot ? status_.from_depot : status_.from_peers) += data.bytes.size();
    }
    if (wanted) {
      chunker::SealedSpan span;
      span.index = {data.span};
      for (const auto& part : data.parts) span.parts.push_back({static_cast<chunker::Codec>(part.codec), part.sealed_size});
      span.bytes = std::move(data.bytes);
      const wire::Key* key = peers_->key_of(peer);
      using Path = chunker::Origin::Path;
      job_.inbox->deliver(std::move(span), key == nullptr ? chunker::Origin{Path::depot, "depot"}
                                                          : chunker::Origin{Path::peer, to_hex(*key)});
    }
    pump();
  }

  void drop_peer(chunker::SpanIndex span, const std::string& node) {
    const auto key = trust::parse_public_key(node);
    if (!key) return;
    peers_->ban(*key);
    depot_->send(wire::BadPeer{*key, span.value});
    const std::lock_guard lock(mutex_);
    if (std::ranges::find(status_.bad_peers, node) == status_.bad_peers.end()) status_.bad_peers.push_back(node);
  }

  void announce() {
    depot_->send(wire::Have{fresh_});
    peers_->announce(fresh_);
    fresh_.clear();
  }

  void pump() {
    repoll_set_ = false;
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

  void set_active(std::uint32_t active) {
    const std::lock_guard lock(mutex_);
    status_.active = active;
    changed_.notify_all();
  }

  void refresh() {
    const std::lock_guard lock(mutex_);
    status_.peers = static_cast<std::uint32_t>(peers_ ? peers_->count() : 0);
    status_.served = peers_ ? peers_->served_bytes() : 0;
    status_.duplicates = picker_->duplicates();
    status_.spans_held = picker_->have().count();
    if (!status_.complete && picker_->complete()) {
      status_.complete = true;
      changed_.notify_all();
    }
  }

  Loop loop_;  // first, so that it goes last: sockets and timers end before it
  NodeOptions options_;
  std::shared_ptr<TlsContext> dial_tls_;

  // Shared between the loop and the caller.
  std::mutex mutex_;
  std::condition_variable changed_;
  SwarmStatus status_;
  std::optional<Error> fatal_;
  std::string last_error_ = "no answer yet";
  Instant started_;
  Instant lost_;
  Instant last_span_;
  bool ever_up_ = false;
  bool warned_ = false;

  // The loop's own.
  SwarmJob job_;
  std::optional<swarm::Picker> picker_;
  std::vector<std::uint32_t> fresh_;
  std::optional<wire::Progress> last_report_;
  std::uint16_t port_ = 0;
  bool depot_joined_ = false;
  bool repoll_set_ = false;
  std::unique_ptr<DepotLink> depot_;
  std::unique_ptr<PeerLinks> peers_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Alarm> announce_;
  std::unique_ptr<Alarm> repoll_;
};

}  // namespace

Result<std::unique_ptr<Node>> Node::start(NodeOptions options) {
  auto node = std::make_unique<SwarmNode>(std::move(options));
  STAMPEDE_CHECK(node->open());
  return node;
}

}  // namespace stampede::net

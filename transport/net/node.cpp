#include "transport/net/node.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <future>
#include <map>
#include <mutex>
#include <set>

#include "transport/net/asking.h"
#include "transport/net/depot_link.h"
#include "transport/net/patience.h"
#include "transport/net/peer_links.h"
#include "transport/net/remote_error.h"
#include "transport/swarm/picker.h"

namespace stampede::net {

namespace {

constexpr Duration kTick = std::chrono::milliseconds(100);
constexpr Duration kSlice = std::chrono::milliseconds(50);
// Spans verified within this time are announced together.
constexpr Duration kAnnounceEvery = std::chrono::milliseconds(3);
constexpr Duration kDepotGone = std::chrono::seconds(10);
constexpr Size kMaxReceipt = 256_KiB;  // wire::Receipt's
constexpr Duration kReportEvery = std::chrono::seconds(1);

class SwarmNode final : public Node {
 public:
  explicit SwarmNode(NodeOptions options)
      : options_(std::move(options)), patience_(options_.depot, options_.waiting.patience, system_clock().now()) {}

  ~SwarmNode() override {
    loop_.run_and_wait([this] {
      picker_.reset();  // with what it asks go on: late calls find nothing
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

  Result<> wait_for_depot() override { return wait_for_depot(Asking(options_.waiting)); }

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
    if (receipt.size() > kMaxReceipt.bytes)
      return fail(Code::usage, "the receipt has {}, and a depot takes {}", human_size(receipt.size()),
                  human_size(kMaxReceipt.bytes));
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
    credit_ = spans;  // read when the task runs: tasks that were overtaken do no harm
    loop_.post([this] {
      if (!picker_) return;
      picker_->set_credit(credit_);
      pump();
    });
  }

  void had(chunker::SpanIndex span) override {
    loop_.post([this, span] {
      if (!picker_) return;
      if (fresh_.empty()) announce_->set(system_clock().now() + kAnnounceEvery);
      fresh_.push_back(span.value);
      picker_->had(span.value, touched());
      unreadable_.erase(span.value);
      pump();
    });
  }

  void bad(chunker::SpanIndex span, const chunker::Origin& origin) override {
    loop_.post([this, span, origin] {
      if (!picker_) return;
      picker_->bad(span.value, system_clock().now());
      if (origin.path == chunker::Origin::Path::peer)
        drop_peer(span, origin.node);
      else if (!altered_.insert(span.value).second)
        set_fatal({Code::content_altered, fmt::format("the depot sent span {} with altered bytes, twice", span.value)});
      pump();
    });
  }

  Result<> wait_complete(const std::function<bool(const SwarmStatus&)>& tick) override {
    while (true) {
      const SwarmStatus now = status();
      if (!tick(now) || options_.waiting.stopped()) return fail(Code::interrupted, "interrupted");
      if (now.complete) return {};
      warn_of_waiting();
      std::unique_lock lock(mutex_);
      if (fatal_) return pass(*fatal_);
      if (patience_.ended(system_clock().now())) {
        if (refused_) return pass(*refused_);
        if (!status_.depot_up) return pass(patience_.why());
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
    Instant reported = start;
    while (true) {
      const SwarmStatus now = status();
      if (!tick(now)) return;
      const Instant t = system_clock().now();
      if (t - reported >= kReportEvery) {
        reported = t;
        loop_.post([this] { report_again(); });
      }
      std::unique_lock lock(mutex_);
      if (time ? t - start >= *time : now.active == 0 || (!status_.depot_up && patience_.gone_for(t) > kDepotGone)) return;
      changed_.wait_for(lock, kTick);
    }
  }

  SwarmStatus status() override {
    const std::lock_guard lock(mutex_);
    return status_;
  }

 private:
  using Answer = Result<std::vector<wire::Message>>;

  Result<> wait_for_depot(const Asking& asking) {
    while (true) {
      warn_of_waiting();
      if (asking.interrupted()) return fail(Code::interrupted, "interrupted while waiting for the depot");
      std::unique_lock lock(mutex_);
      if (fatal_) return pass(*fatal_);
      if (status_.depot_up) return {};
      if (patience_.ended(system_clock().now())) return pass(patience_.why());
      changed_.wait_for(lock, kTick);
    }
  }

  // Asks again where the line broke or the depot is busy; gives up when the patience does.
  Answer ask(const wire::Message& question, std::size_t replies) {
    const Asking asking(options_.waiting);
    while (true) {
      STAMPEDE_CHECK(wait_for_depot(asking));
      auto answer = ask_once(question, replies, asking);
      if (answer || !passes(answer.error())) return answer;
      std::unique_lock lock(mutex_);
      const Instant now = system_clock().now();
      if (patience_.ended(now) && now - asking.since >= patience_.limit()) return answer;
      changed_.wait_for(lock, kTick);
    }
  }

  Answer ask_once(const wire::Message& question, std::size_t replies, const Asking& asking) {
    auto promise = std::make_shared<std::promise<Answer>>();
    loop_.post([this, question, replies, promise] {
      depot_->ask(question, replies, [this, promise](Answer answer) {
        if (answer) touched();
        promise->set_value(std::move(answer));
      });
    });
    auto answer = promise->get_future();
    // A depot that is there has no reason to be slow; still, a long answer may take its time.
    const Duration limit = std::max(kSilence, patience_.limit());
    const Instant start = system_clock().now();
    while (answer.wait_for(kSlice) != std::future_status::ready) {
      const bool late = system_clock().now() - start >= limit;
      if (!late && !asking.interrupted()) continue;
      // Its answer must not be taken for the next question's.
      loop_.post([this] { depot_->drop({Code::unreachable, "a question without an answer"}); });
      if (!late) return fail(Code::interrupted, "interrupted while the depot was asked");
      return fail(Code::patience_ended, "the depot at {} does not answer", options_.depot.text());
    }
    return answer.get();
  }

  void warn_of_waiting() {
    std::string text;
    {
      const std::lock_guard lock(mutex_);
      text = patience_.warning(system_clock().now());
    }
    if (!text.empty()) options_.waiting.warn(text);
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
    patience_.useful(now);
    return now;
  }

  void depot_up() {
    {
      const std::lock_guard lock(mutex_);
      status_.depot_up = true;
      patience_.up(system_clock().now());
      changed_.notify_all();
    }
    if (picker_) rejoin();
  }

  void depot_down(const Error& error) {
    const Instant now = system_clock().now();
    {
      const std::lock_guard lock(mutex_);
      status_.depot_up = false;
      patience_.down(now, error.message);
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
    STAMPEDE_TRY(listener_, Listener::open(loop_, *options_.listen, std::move(tls), Line::peers,
                                           {.connections = kMaxPeers, .handshakes = kMaxPeers}, ready));
    port_ = listener_->local().port;
    return {};
  }

  Result<> start_swarm(SwarmJob job) {
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

  wire::Join join_message() const {
    const ByteView bits = picker_->have().bytes();
    return {job_.image.digest, port_, job_.span_count, copy(bits)};
  }

  void report_again() {
    if (last_report_ && depot_) depot_->send(*last_report_);
  }

  void rejoin() {
    if (!depot_->up() || depot_joined_) return;
    depot_joined_ = true;
    depot_->send(join_message());
    report_again();
    Bitmap all(job_.span_count);
    for (std::uint32_t i = 0; i < job_.span_count; ++i) all.set(i);
    picker_->peer_joined(swarm::kDepot, std::move(all), system_clock().now());
    pump();
  }

  void from_depot(wire::Message message) {
    const Instant now = system_clock().now();
    if (auto* error = std::get_if<wire::ErrorMessage>(&message)) {
      if (const Error told = remote_error(*error); !passes(told)) set_fatal(told);
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
      if (missing->span < job_.span_count) not_readable(missing->span, now);
    }
  }

  // The depot's store has lost a span: perhaps a peer has it.
  void not_readable(std::uint32_t span, Instant now) {
    picker_->not_held(swarm::kDepot, span, now);
    unreadable_.insert(span);
    pump();
  }

  void take_span(swarm::PeerId peer, wire::SpanData data) {
    const bool wanted = picker_->received(peer, data.span, system_clock().now());
    if (wanted) touched();
    if (wanted && peer == swarm::kDepot) depot_->of_use();
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

  Loop loop_;  // first, so that it goes last: sockets and timers end before it
  NodeOptions options_;
  std::shared_ptr<TlsContext> dial_tls_;

  // Shared between the loop and the caller.
  std::mutex mutex_;
  std::condition_variable changed_;
  SwarmStatus status_;
  std::optional<Error> fatal_;
  std::optional<Error> refused_;  // by the depot; a peer may still have it
  Patience patience_;
  std::atomic<std::uint32_t> credit_ = 0;

  // The loop's own.
  SwarmJob job_;
  std::optional<swarm::Picker> picker_;
  std::vector<std::uint32_t> fresh_;
  std::set<std::uint32_t> unreadable_;  // spans that the depot cannot read and that we lack
  std::set<std::uint32_t> altered_;     // came damaged from the depot
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

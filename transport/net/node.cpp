#include "transport/net/node.h"

#include <algorithm>
#include <future>
#include <utility>

#include "transport/net/node_impl.h"
#include "transport/net/remote_error.h"

namespace stampede::net {

namespace {

constexpr Duration kTick = std::chrono::milliseconds(100);
constexpr Duration kSlice = std::chrono::milliseconds(50);
// Spans verified within this time are announced together; seldom while others get them by multicast as well.
constexpr Duration kAnnounceEvery = std::chrono::milliseconds(3);
constexpr Duration kAnnounceSeldom = std::chrono::milliseconds(50);
constexpr Duration kDepotGone = std::chrono::seconds(10);
constexpr Size kMaxReceipt = 256_KiB;  // wire::Receipt's
constexpr Duration kReportEvery = std::chrono::seconds(1);

}  // namespace

SwarmNode::SwarmNode(NodeOptions options)
    : options_(std::move(options)), patience_(options_.depot, options_.waiting.patience, system_clock().now()) {}

SwarmNode::~SwarmNode() {
  loop_.run_and_wait([this] {
    picker_.reset();  // with what it asks go on: late calls find nothing
    listener_.reset();
    catcher_.reset();
    if (depot_) depot_->finish();
    announce_.reset();
    repoll_.reset();
    peers_.reset();
  });
  // A moment for what is queued (the last report); the other side may be gone.
  loop_.run_and_wait([this] { depot_.reset(); });
  loop_.stop();
}

Result<> SwarmNode::open() {
  STAMPEDE_TRY(dial_tls_, TlsContext::client(options_.identity, options_.site));
  STAMPEDE_CHECK(listen());
  DepotLink::Events events;
  events.up = [this] { depot_up(); };
  events.down = [this](const Error& error) { depot_down(error); };
  events.message = [this](wire::Message message) { from_depot(std::move(message)); };
  loop_.run_and_wait([&] { depot_ = std::make_unique<DepotLink>(loop_, options_.depot, dial_tls_, std::move(events)); });
  return {};
}

Result<chunker::SignedTagRecord> SwarmNode::resolve(const chunker::ImageRef& image) {
  STAMPEDE_TRY(auto messages, ask(wire::Resolve{image.name, image.asked_tag()}, 1));
  auto* record = std::get_if<wire::TagRecordMessage>(messages.data());
  if (record == nullptr) return fail(Code::protocol, "the depot answered with something else than a tag record");
  return chunker::SignedTagRecord{std::move(record->record), record->signer, record->signature};
}

Result<std::vector<chunker::SealedChunk>> SwarmNode::fetch(const std::vector<chunker::ChunkId>& ids) {
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

Result<std::uint64_t> SwarmNode::store_receipt(ByteView receipt, const trust::Signature& signature) {
  if (receipt.size() > kMaxReceipt.bytes)
    return fail(Code::usage, "the receipt has {}, and a depot takes {}", human_size(receipt.size()),
                human_size(kMaxReceipt.bytes));
  STAMPEDE_TRY(auto messages, ask(wire::Receipt{copy(receipt), signature}, 1));
  const auto* stored = std::get_if<wire::ReceiptStored>(messages.data());
  if (stored == nullptr) return fail(Code::protocol, "the depot answered with something else than a receipt's number");
  return stored->number;
}

Result<bool> SwarmNode::depot_knows(std::uint64_t feature) {
  while (true) {
    STAMPEDE_CHECK(wait_for_depot(Asking(options_.waiting)));
    std::optional<std::uint64_t> features;
    loop_.run_and_wait([&] {
      if (depot_->up()) features = depot_->features();
    });
    if (features) return (*features & feature) != 0;  // else the line broke in between
  }
}

Result<SignedReceipt> SwarmNode::find_receipt(const DiskNames& disk) {
  STAMPEDE_TRY(const bool known, depot_knows(wire::kReceipts));
  if (!known) return fail(Code::protocol, "the depot is of a version that does not tell receipts; name the image");
  STAMPEDE_TRY(auto messages, ask(wire::FindReceipt{disk.guid, disk.serial, disk.wwn, disk.path, disk.size.bytes}, 1));
  auto* found = std::get_if<wire::Receipt>(messages.data());
  if (found == nullptr) return fail(Code::protocol, "the depot answered with something else than a receipt");
  return SignedReceipt{std::move(found->receipt), found->signature};
}

Result<bool> SwarmNode::store_rescue(const std::array<std::byte, 16>& deployment, ByteView file) {
  if (file.size() > wire::kMaxRescue)
    return fail(Code::usage, "the rescue file has {}, and a depot takes {}", human_size(file.size()),
                human_size(wire::kMaxRescue));
  STAMPEDE_TRY(const bool known, depot_knows(wire::kRescue));
  if (!known) return false;
  STAMPEDE_TRY(auto messages, ask(wire::RescueFile{deployment, copy(file)}, 1));
  if (!std::holds_alternative<wire::RescueStored>(messages.front()))
    return fail(Code::protocol, "the depot answered with something else than that it keeps a rescue file");
  return true;
}

Result<wire::Message> SwarmNode::ask_push(const wire::Message& message) {
  if (std::holds_alternative<wire::PushStart>(message)) {
    STAMPEDE_TRY(const bool known, depot_knows(wire::kPush));
    if (!known) return fail(Code::protocol, "the depot is of a version that takes no images; update it");
  }
  STAMPEDE_TRY(auto messages, ask(message, 1));
  return std::move(messages.front());
}

Result<> SwarmNode::join(SwarmJob job) {
  Result<> result;
  loop_.run_and_wait([&] { result = start_swarm(std::move(job)); });
  return result;
}

// It waits: credit that is given next is for what this leaves.
void SwarmNode::hold_parts(std::vector<wire::ChunkRun> lacks, std::optional<Bitmap> later) {
  loop_.run_and_wait([&] {
    if (!picker_) return;
    PartialSpans partial(std::move(lacks));
    if (std::exchange(defers_, later.has_value())) picker_->release_all(system_clock().now());
    if (later) picker_->expect(*later);
    partial_ = std::move(partial);
    peers_->set_partial(partial_);
    tell_partial();
    announce();  // or the depot would give what was had a moment ago
    listen_to_multicast();
    pump();
  });
}

void SwarmNode::set_credit(std::uint32_t spans) {
  credit_ = spans;  // read when the task runs: tasks that were overtaken do no harm
  loop_.post([this] {
    if (!picker_) return;
    picker_->set_credit(credit_);
    listen_to_multicast();
    pump();
  });
}

void SwarmNode::had(chunker::SpanIndex span) {
  loop_.post([this, span] {
    if (!picker_) return;
    const bool by_multicast = catcher_ && !catcher_->quiet();
    if (fresh_.empty()) announce_->set(system_clock().now() + (by_multicast ? kAnnounceSeldom : kAnnounceEvery));
    fresh_.push_back(span.value);
    picker_->had(span.value, touched());
    unreadable_.erase(span.value);
    if (catcher_) catcher_->had(span.value);
    pump();
    if (picker_->complete()) catcher_.reset();  // what is sent for others is not our business any more
  });
}

void SwarmNode::bad(chunker::SpanIndex span, const chunker::Origin& origin) {
  loop_.post([this, span, origin] {
    if (!picker_) return;
    picker_->bad(span.value, system_clock().now());
    if (catcher_) catcher_->bad(span.value);
    switch (origin.path) {
      case chunker::Origin::Path::peer:
        drop_peer(span, origin.node);
        break;
      case chunker::Origin::Path::multicast:
        doubt_multicast();
        break;
      case chunker::Origin::Path::depot:
        if (!altered_.insert(span.value).second)
          set_fatal({Code::content_altered, fmt::format("the depot sent span {} with altered bytes, twice", span.value)});
    }
    pump();
  });
}

Result<> SwarmNode::wait_complete(const std::function<bool(const SwarmStatus&)>& tick) {
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

void SwarmNode::report(const StageReport& report) {
  loop_.post([this, report] {
    last_report_ = wire::Progress{report.stage, report.finished, report.total, report.verified, report.durable};
    if (depot_) depot_->send(*last_report_);
  });
}

void SwarmNode::linger(std::optional<Duration> time, const std::function<bool(const SwarmStatus&)>& tick) {
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

SwarmStatus SwarmNode::status() {
  const std::lock_guard lock(mutex_);
  return status_;
}

Result<> SwarmNode::wait_for_depot(const Asking& asking) {
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
SwarmNode::Answer SwarmNode::ask(const wire::Message& question, std::size_t replies) {
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

SwarmNode::Answer SwarmNode::ask_once(const wire::Message& question, std::size_t replies, const Asking& asking) {
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

void SwarmNode::warn_of_waiting() {
  std::string text;
  {
    const std::lock_guard lock(mutex_);
    text = patience_.warning(system_clock().now());
    if (text.empty()) text = std::exchange(notice_, {});
  }
  if (!text.empty()) options_.waiting.warn(text);
}

void SwarmNode::set_fatal(Error error) {
  const std::lock_guard lock(mutex_);
  if (!fatal_) fatal_ = std::move(error);
  changed_.notify_all();
}

// Notes that something useful arrived; the patience starts again.
Instant SwarmNode::touched() {
  const Instant now = system_clock().now();
  const std::lock_guard lock(mutex_);
  patience_.useful(now);
  return now;
}

Result<std::unique_ptr<Node>> Node::start(NodeOptions options) {
  auto node = std::make_unique<SwarmNode>(std::move(options));
  STAMPEDE_CHECK(node->open());
  return node;
}

}  // namespace stampede::net

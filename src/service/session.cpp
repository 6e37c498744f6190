#include "src/service/session.h"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "chunker/digest.h"
#include "src/deploy/receipt.h"
#include "src/service/rescue_shelf.h"

namespace stampede::service {

namespace {
// Spans that one target may have asked for and not yet got.
constexpr std::size_t kMaxOwed = 256;
}  // namespace

Session::Session(DepotState& depot, net::Connection::Ptr connection, std::function<void()> gone)
    : depot_(depot), connection_(std::move(connection)), since_(system_clock().now()), gone_(std::move(gone)) {}

void Session::start() {
  net::Connection::Events events;
  events.message = [self = shared_from_this()](wire::Message message) { self->take(std::move(message)); };
  events.drained = [self = shared_from_this()] {
    self->send_objects();
    self->send_owed();
  };
  events.closed = [self = shared_from_this()](const Error& error) {
    if (self->room_) spdlog::info("{} has left: {}", self->who(), error.message);
    self->left();
  };
  connection_->set_events(std::move(events));
  if (!connection_->peer()) return;
  admit();
}

void Session::admit() {
  off_loop([this, peer = *connection_->peer()] {
    auto enrolled = depot_.store.catalog().is_enrolled(peer.key);
    return [this, peer, enrolled = std::move(enrolled)] {
      if (!enrolled) return refuse(enrolled.error());
      if (!*enrolled || peer.role != trust::Role::node)
        refuse({Code::peer_untrusted, "this depot does not know the node; enrol it with a new token"});
    };
  });
}

void Session::close(const Error& why) { connection_->close(why); }

std::optional<trust::PublicKey> Session::key() const {
  if (!connection_->peer()) return std::nullopt;
  return connection_->peer()->key;
}

void Session::check(Instant now) {
  if (!key() && now - since_ > kTimeToEnrol) return close({Code::unreachable, "has not enrolled in time"});
  if (held_ && objects_.empty() && key()) return connection_->send(wire::Pong{});
  if (push_ && now - pushed_ > kPushSilence) return close({Code::unreachable, "a push of which nothing came for too long"});
  if (now - connection_->last_heard() > kNodeSilence) close({Code::unreachable, "silent for too long"});
}

void Session::hold(bool held) {
  held_ = held;
  connection_->hold_reading(held);
}

void Session::off_loop(Worker& worker, Worker::Work work) {
  hold(true);
  worker.run([self = shared_from_this(), work = std::move(work)] {
    return [self, then = work()] {
      self->hold(false);
      then();
    };
  });
}

std::string Session::who() const {
  return connection_->peer()
             ? fmt::format("node {} at {}", trust::short_name(connection_->peer()->key), connection_->address())
             : connection_->address();
}

void Session::answer(const Error& error) {
  connection_->send(wire::ErrorMessage{static_cast<std::uint8_t>(error.code), error.message.substr(0, 1000)});
}

void Session::refuse(const Error& error) {
  spdlog::warn("{} is refused: {}", who(), error.message);
  answer(error);
  connection_->close_after_sending();
}

void Session::misbehaved(std::string_view what) { refuse({Code::protocol, std::string(what)}); }

void Session::left() {
  expected_.reset();
  if (auto room = std::exchange(room_, nullptr)) room->leave(member_);
  push_over();
  if (auto gone = std::exchange(gone_, nullptr)) gone();
}

void Session::take(wire::Message message) {
  if (const auto* error = std::get_if<wire::ErrorMessage>(&message)) return told(*error);
  if (const auto* ask = std::get_if<wire::Enrol>(&message)) return enrol(*ask);
  if (!connection_->peer()) return misbehaved("without a certificate a machine can only enrol");
  if (const auto* asked = std::get_if<wire::Ping>(&message)) return ping(*asked);
  if (std::holds_alternative<wire::Pong>(message)) return;
  take_from_node(message);
}

void Session::take_from_node(wire::Message& message) {
  if (const auto* name = std::get_if<wire::Resolve>(&message)) return resolve(*name);
  if (const auto* ids = std::get_if<wire::Fetch>(&message)) return fetch(*ids);
  if (auto* wish = std::get_if<wire::Join>(&message)) return join(std::move(*wish));
  if (const auto* news = std::get_if<wire::Receipt>(&message)) return receipt(*news);
  if (const auto* disk = std::get_if<wire::FindReceipt>(&message)) return find_receipt(*disk);
  if (auto* file = std::get_if<wire::RescueFile>(&message)) return rescue(std::move(*file));
  if (const auto* news = std::get_if<wire::Progress>(&message)) return progress(*news);
  if (take_push(message)) return;
  if (!room_) return misbehaved("a target joins a swarm first");
  if (const auto* news = std::get_if<wire::Have>(&message)) return have(*news);
  if (auto* news = std::get_if<wire::Partial>(&message)) return partial(std::move(*news));
  if (const auto* want = std::get_if<wire::WantAny>(&message)) return want_any(*want);
  if (const auto* request = std::get_if<wire::Request>(&message)) return requested(*request);
  if (const auto* report = std::get_if<wire::MulticastReport>(&message)) return multicast_report(*report);
  if (const auto* bad = std::get_if<wire::BadPeer>(&message)) return bad_peer(*bad);
  misbehaved("a message that targets do not send");
}

void Session::told(const wire::ErrorMessage& error) {
  spdlog::warn("{} says: {}", who(), error.text);
  close({Code::protocol, "the node has said what is wrong"});
}

// The sign of life of a target whose disk keeps it from reporting.
void Session::ping(const wire::Ping& ping) {
  connection_->send(wire::Pong{ping.token});
  if (room_) room_->origin().heard(member_, finished_, system_clock().now());
}

void Session::enrol(const wire::Enrol& ask) {
  auto key = trust::public_key_of_request(ask.request);
  if (!key) return refuse(key.error());
  off_loop([this, ask, key = *key] {
    auto redeemed = depot_.store.catalog().redeem(chunker::sha256(ask.secret), key);
    auto certificate = depot_.site.authority.issue_for_request(ask.request, trust::Role::node);
    return [this, key, redeemed = std::move(redeemed), certificate = std::move(certificate)] {
      if (!redeemed) return refuse(redeemed.error());
      if (!certificate) return refuse(certificate.error());
      spdlog::info("node {} at {} has enrolled", trust::short_name(key), connection_->address());
      connection_->send(wire::Enrolled{*certificate, depot_.site.authority.certificate()});
      connection_->close_after_sending();
    };
  });
}

void Session::resolve(const wire::Resolve& question) {
  auto image = chunker::ImageRef::from_wire(question.name, question.tag);
  if (!image) return answer(image.error());
  off_loop([this, image = *image] {
    auto found = depot_.holds.find(image, system_clock().now());
    return [this, image, found = std::move(found)] {
      if (!found) return answer(found.error());
      if (*found) {
        if (!room_) expected_ = depot_.expected.add((*found)->image, system_clock().now());
        return connection_->send(wire::TagRecordMessage{(*found)->record, (*found)->signer, (*found)->signature});
      }
      answer({Code::not_found,
              fmt::format("no image {} in this depot; `stampede image list` there shows what is", image.text())});
    };
  });
}

void Session::fetch(const wire::Fetch& question) {
  objects_.assign(question.ids.begin(), question.ids.end());
  send_objects();
}

// As the connection drains: 64 objects may be a gigabyte. One at a time, off the loop.
void Session::send_objects() {
  if (reading_object_ || objects_.empty() || !connection_->is_open() || connection_->queued() >= net::kQueueLimit) return;
  reading_object_ = true;
  hold(true);
  const wire::Digest id = objects_.front();
  objects_.pop_front();
  depot_.reader.run([self = shared_from_this(), id]() -> std::function<void()> {
    return [self, id, chunk = self->depot_.store.chunks().get({id})] {
      self->reading_object_ = false;
      if (!self->connection_->is_open()) return;
      self->send_object(id, chunk);
      self->hold(!self->objects_.empty());
      self->send_objects();
    };
  });
}

void Session::send_object(const wire::Digest& id, Result<chunker::SealedChunk> chunk) {
  if (chunk)
    return connection_->send(
        wire::Object{id, static_cast<std::uint8_t>(chunk->codec), chunk->plain_size, std::move(chunk->bytes)});
  spdlog::error("{} asked for object {}: {}", who(), to_hex(id), chunk.error().message);
  answer(chunk.error());
  objects_.clear();
}

void Session::join(wire::Join ask) {
  if (room_) return misbehaved("joined already");
  hold(true);
  const chunker::ImageId image{ask.image};
  depot_.with_room(image, [self = shared_from_this(), ask = std::move(ask)](const auto& room) {
    self->hold(false);
    if (self->connection_->is_open()) self->joined(ask, room);
  });
}

void Session::joined(const wire::Join& ask, const Result<std::shared_ptr<SwarmRoom>>& room) {
  if (!room) return refuse(room.error());
  auto member = (*room)->join(ask, {connection_->peer()->key, connection_->address(), ask.port}, connection_);
  if (!member) return refuse(member.error());
  expected_ = depot_.expected.add(chunker::ImageId{ask.image}, system_clock().now());
  room_ = *room;
  member_ = *member;
  spdlog::info("{} has joined the swarm of image {}", who(), to_hex(ask.image).substr(0, 16));
}

void Session::bad_peer(const wire::BadPeer& bad) {
  if (bad.span >= room_->span_count()) return misbehaved("no such span");
  const auto& reporter = connection_->peer()->key;
  if (!depot_.names_bad_peer(reporter, bad.node)) return;
  spdlog::error("{} says that node {} served altered bytes for span {}", who(), trust::short_name(bad.node), bad.span);
  depot_.worker.run([&catalog = depot_.store.catalog(), actor = trust::to_string(reporter),
                     subject = trust::to_string(bad.node)]() -> std::function<void()> {
    if (auto noted = catalog.audit(actor, "bad peer", subject); !noted) spdlog::error("audit: {}", noted.error().message);
    return [] {};
  });
}

void Session::partial(wire::Partial news) { room_->partial(member_, std::move(news)); }

void Session::want_any(const wire::WantAny& want) {
  const std::size_t room = kMaxOwed - std::min(kMaxOwed, owed_.size());
  const auto count = static_cast<std::uint32_t>(std::min<std::size_t>(want.count, room));
  const auto spans = room_->origin().allot(member_, count, system_clock().now());
  for (const std::uint32_t span : spans) owed_.push_back({span, true});
  if (spans.size() < want.count) connection_->send(wire::NoneLeft{static_cast<std::uint16_t>(want.count - spans.size())});
  send_owed();
}

void Session::requested(const wire::Request& request) {
  if (request.span >= room_->span_count() || owed_.size() >= kMaxOwed) return misbehaved("too many or wrong requests");
  room_->origin().asked(member_, request.span, system_clock().now());
  owed_.push_back({request.span, false});
  send_owed();
}

// One at a time: what is queued is on its way meanwhile.
void Session::send_owed() {
  if (reading_ || !room_ || owed_.empty() || !connection_->is_open() || connection_->queued() >= net::kQueueLimit) return;
  reading_ = true;
  const Owed owed = owed_.front();
  owed_.pop_front();
  room_->read(owed.span, [self = shared_from_this(), owed](std::shared_ptr<const chunker::SealedSpan> sealed) {
    self->reading_ = false;
    if (!self->connection_->is_open()) return;
    self->send_span(owed, std::move(sealed));
    self->send_owed();
  });
}

// What the store cannot read may still come from a peer.
void Session::send_span(const Owed& owed, std::shared_ptr<const chunker::SealedSpan> sealed) {
  if (auto part = room_->cut_for(member_, std::move(sealed))) return connection_->send_span(std::move(part));
  connection_->send(wire::NotHeld{owed.span});
  if (owed.any) connection_->send(wire::NoneLeft{1});
}

void Session::have(const wire::Have& news) {
  const Instant now = system_clock().now();
  for (const std::uint32_t span : news.spans) {
    if (span >= room_->span_count()) return misbehaved("no such span");
    room_->has(member_, span, now);
  }
}

void Session::multicast_report(const wire::MulticastReport& report) {
  expected_.reset();
  room_->origin().heard(member_, finished_, system_clock().now());
  room_->report(member_, report);
}

void Session::progress(const wire::Progress& news) {
  if (!room_) return;
  if (news.finished && !std::exchange(finished_, true)) spdlog::info("{} has finished", who());
  room_->origin().heard(member_, news.finished, system_clock().now());
}

Result<cache::ReceiptRow> Session::check_receipt(const wire::Receipt& news) const {
  const trust::PublicKey& node = connection_->peer()->key;
  STAMPEDE_CHECK(trust::verify(node, trust::kReceiptDomain, news.receipt, news.signature));
  STAMPEDE_TRY(const auto decoded, deploy::decode_receipt(news.receipt));
  if (decoded.node != trust::to_string(node))
    return fail(Code::signature_invalid, "a receipt that speaks of another node than the one that signed it");
  cache::ReceiptRow row;
  row.node = node;
  row.received = system_clock().unix_time();
  row.verdict = deploy::name_of(decoded.verdict);
  row.receipt = news.receipt;
  row.signature = news.signature;
  return row;
}

// A refused receipt does not end the line: the deployment that it is not about goes on.
void Session::receipt(const wire::Receipt& news) {
  if (!depot_.may_send_receipt(connection_->peer()->key, system_clock().now()))
    return answer({Code::busy, "this node has sent many receipts; it has to wait"});
  auto row = check_receipt(news);
  if (!row) {
    spdlog::warn("{}: a receipt is refused: {}", who(), row.error().message);
    return answer(row.error());
  }
  off_loop([this, row = std::move(*row)] {
    auto number = depot_.store.catalog().add_receipt(row);
    return [this, number = std::move(number), verdict = row.verdict] {
      if (!number) return answer(number.error());
      spdlog::info("{}: receipt {}, {}", who(), *number, verdict);
      connection_->send(wire::ReceiptStored{static_cast<std::uint64_t>(*number)});
    };
  });
}

// It is opaque here: whoever puts it back checks it.
void Session::rescue(wire::RescueFile news) {
  if (!depot_.may_send_rescue(connection_->peer()->key, system_clock().now()))
    return answer({Code::busy, "this node has sent many rescue files; it has to wait"});
  off_loop([this, news = std::move(news)] {
    auto kept = keep_rescue(depot_.store.folder(), connection_->peer()->key, news.deployment, news.file);
    return [this, kept = std::move(kept), size = news.file.size()] {
      if (!kept) return answer(kept.error());
      connection_->send(wire::RescueStored{size});
    };
  });
}

void Session::find_receipt(const wire::FindReceipt& question) {
  off_loop([this, question] {
    auto found = depot_.store.catalog().newest_success_on(
        {question.guid, question.serial, question.wwn, question.path, question.size});
    return [this, found = std::move(found)] {
      if (!found) return answer(found.error());
      if (!*found) return answer({Code::not_found, "no receipt of a success on that disk"});
      connection_->send(wire::Receipt{(*found)->receipt, (*found)->signature});
    };
  });
}

}  // namespace stampede::service

#include "src/service/session.h"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "chunker/digest.h"
#include "src/deploy/receipt.h"

namespace stampede::service {

namespace {
// Spans that one target may have asked for and not yet got.
constexpr std::size_t kMaxOwed = 256;
constexpr std::size_t kMaxReceipt = std::size_t{256} << 10;
}  // namespace

Result<std::shared_ptr<SwarmRoom>> DepotState::room(const chunker::ImageId& image) {
  if (const auto found = rooms.find(image); found != rooms.end()) return found->second;
  STAMPEDE_TRY(auto room, SwarmRoom::open(store, image));
  rooms[image] = room;
  return room;
}

Session::Session(DepotState& depot, net::Connection::Ptr connection, std::function<void()> gone)
    : depot_(depot), connection_(std::move(connection)), gone_(std::move(gone)) {}

void Session::start() {
  net::Connection::Events events;
  events.message = [self = shared_from_this()](wire::Message message) { self->take(std::move(message)); };
  events.drained = [self = shared_from_this()] { self->send_owed(); };
  events.closed = [self = shared_from_this()](const Error& error) {
    if (self->room_) spdlog::info("{} has left: {}", self->who(), error.message);
    self->left();
  };
  connection_->set_events(std::move(events));
  if (!connection_->peer()) return;
  auto enrolled = depot_.store.catalog().is_enrolled(connection_->peer()->key);
  if (!enrolled) return refuse(enrolled.error());
  if (!*enrolled || connection_->peer()->role != trust::Role::node)
    refuse({Code::peer_untrusted, "this depot does not know the node; enrol it with a new token"});
}

void Session::close() { connection_->close({Code::interrupted, "the depot stops"}); }

std::string Session::who() const {
  return connection_->peer()
             ? fmt::format("node {} at {}", trust::short_name(connection_->peer()->key), connection_->address())
             : connection_->address();
}

void Session::refuse(const Error& error) {
  spdlog::warn("{} is refused: {}", who(), error.message);
  connection_->send(wire::ErrorMessage{static_cast<std::uint8_t>(error.code), error.message.substr(0, 1000)});
  connection_->close_after_sending();
}

void Session::misbehaved(std::string_view what) { refuse({Code::protocol, std::string(what)}); }

void Session::left() {
  if (auto room = std::exchange(room_, nullptr)) room->leave(member_);
  if (auto gone = std::exchange(gone_, nullptr)) gone();
}

void Session::take(wire::Message message) {
  if (std::holds_alternative<wire::Ping>(message)) return connection_->send(wire::Pong{});
  if (std::holds_alternative<wire::Pong>(message)) return;
  if (const auto* ask = std::get_if<wire::Enrol>(&message)) return enrol(*ask);
  if (!connection_->peer()) return misbehaved("without a certificate a machine can only enrol");
  take_from_node(message);
}

void Session::take_from_node(wire::Message& message) {
  if (const auto* resolve_ = std::get_if<wire::Resolve>(&message)) return resolve(*resolve_);
  if (const auto* fetch_ = std::get_if<wire::Fetch>(&message)) return fetch(*fetch_);
  if (const auto* join_ = std::get_if<wire::Join>(&message)) return join(*join_);
  if (const auto* receipt_ = std::get_if<wire::Receipt>(&message)) return receipt(*receipt_);
  if (const auto* progress_ = std::get_if<wire::Progress>(&message)) return progress(*progress_);
  if (!room_) return misbehaved("a target joins a swarm first");
  if (const auto* have_ = std::get_if<wire::Have>(&message)) return have(*have_);
  if (const auto* want = std::get_if<wire::WantAny>(&message)) return want_any(*want);
  if (const auto* request = std::get_if<wire::Request>(&message)) return requested(*request);
  if (const auto* bad = std::get_if<wire::BadPeer>(&message)) {
    spdlog::error("{} says that node {} served altered bytes for span {}", who(), trust::short_name(bad->node), bad->span);
    if (auto noted = depot_.store.catalog().audit(trust::to_string(connection_->peer()->key), "bad peer",
                                                  trust::to_string(bad->node));
        !noted)
      spdlog::error("audit: {}", noted.error().message);
    return;
  }
  misbehaved("a message that targets do not send");
}

void Session::enrol(const wire::Enrol& ask) {
  auto key = trust::public_key_of_request(ask.request);
  if (!key) return refuse(key.error());
  if (auto redeemed = depot_.store.catalog().redeem(chunker::sha256(ask.secret), *key); !redeemed)
    return refuse(redeemed.error());
  auto certificate = depot_.site.authority.issue_for_request(ask.request, trust::Role::node);
  if (!certificate) return refuse(certificate.error());
  spdlog::info("node {} at {} has enrolled", trust::short_name(*key), connection_->address());
  connection_->send(wire::Enrolled{std::move(*certificate), depot_.site.authority.certificate()});
}

void Session::resolve(const wire::Resolve& question) {
  const chunker::ImageName name{question.name, question.tag};
  auto found = depot_.store.catalog().find_tag(name);
  if (found && *found)
    return connection_->send(wire::TagRecordMessage{(*found)->record, (*found)->signer, (*found)->signature});
  const Error error =
      found ? Error{Code::not_found,
                    fmt::format("no image {} in this depot; `stampede image list` there shows what is", name.text())}
            : found.error();
  connection_->send(wire::ErrorMessage{static_cast<std::uint8_t>(error.code), error.message.substr(0, 1000)});
}

void Session::fetch(const wire::Fetch& question) {
  for (const auto& id : question.ids) {
    auto chunk = depot_.store.chunks().get({id});
    if (!chunk) {
      spdlog::error("{} asked for object {}: {}", who(), to_hex(id), chunk.error().message);
      connection_->send(
          wire::ErrorMessage{static_cast<std::uint8_t>(chunk.error().code), chunk.error().message.substr(0, 1000)});
      return;
    }
    connection_->send(wire::Object{id, static_cast<std::uint8_t>(chunk->codec), chunk->plain_size, std::move(chunk->bytes)});
  }
}

void Session::join(const wire::Join& ask) {
  if (room_) return misbehaved("joined already");
  auto room = depot_.room({ask.image});
  if (!room) return refuse(room.error());
  auto member = (*room)->join(ask, {{connection_->peer()->key, connection_->address(), ask.port}, connection_});
  if (!member) return refuse(member.error());
  room_ = *room;
  member_ = *member;
  spdlog::info("{} has joined the swarm of image {}", who(), to_hex(ask.image).substr(0, 16));
}

void Session::want_any(const wire::WantAny& want) {
  const std::size_t room = kMaxOwed - std::min(kMaxOwed, owed_.size());
  const auto count = static_cast<std::uint32_t>(std::min<std::size_t>(want.count, room));
  const auto spans = room_->origin().allot(member_, count, system_clock().now());
  owed_.insert(owed_.end(), spans.begin(), spans.end());
  if (spans.size() < want.count) connection_->send(wire::NoneLeft{static_cast<std::uint16_t>(want.count - spans.size())});
  send_owed();
}

void Session::requested(const wire::Request& request) {
  if (request.span >= room_->span_count() || owed_.size() >= kMaxOwed) return misbehaved("too many or wrong requests");
  room_->origin().asked(member_, request.span, system_clock().now());
  owed_.push_back(request.span);
  send_owed();
}

void Session::send_owed() {
  while (room_ && !owed_.empty() && connection_->is_open() && connection_->queued() < net::kQueueLimit) {
    const std::uint32_t span = owed_.front();
    owed_.pop_front();
    if (auto sealed = room_->spans().span({span})) {
      connection_->send_span(std::move(sealed));
    } else {
      spdlog::error("span {} cannot be read from the store; run `stampede store check`", span);
      return refuse({Code::store_damaged, fmt::format("span {} cannot be read from the depot's store", span)});
    }
  }
}

void Session::have(const wire::Have& news) {
  const Instant now = system_clock().now();
  for (const std::uint32_t span : news.spans) {
    if (span >= room_->span_count()) return misbehaved("no such span");
    room_->origin().has(member_, span, now);
  }
}

void Session::progress(const wire::Progress& news) {
  if (!room_) return;
  if (news.finished && !std::exchange(finished_, true)) spdlog::info("{} has finished", who());
  room_->origin().heard(member_, news.finished, system_clock().now());
}

void Session::receipt(const wire::Receipt& news) {
  const trust::PublicKey& node = connection_->peer()->key;
  if (news.receipt.size() > kMaxReceipt) return misbehaved("a receipt that is too long");
  if (auto sound = trust::verify(node, trust::kReceiptDomain, news.receipt, news.signature); !sound)
    return refuse(sound.error());
  auto decoded = deploy::decode_receipt(news.receipt);
  if (!decoded) return refuse(decoded.error());
  cache::ReceiptRow row;
  row.node = node;
  row.received = system_clock().unix_time();
  row.verdict = deploy::name_of(decoded->verdict);
  row.receipt = news.receipt;
  row.signature = news.signature;
  auto number = depot_.store.catalog().add_receipt(row);
  if (!number) return refuse(number.error());
  spdlog::info("{}: receipt {}, {}", who(), *number, row.verdict);
  connection_->send(wire::ReceiptStored{static_cast<std::uint64_t>(*number)});
}

}  // namespace stampede::service

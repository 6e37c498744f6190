#include "transport/net/depot_link.h"

#include <algorithm>

#include "transport/net/remote_error.h"

namespace stampede::net {

namespace {
constexpr Duration kLastBackoff = std::chrono::seconds(2);

bool is_answer(const wire::Message& message) {
  return std::holds_alternative<wire::Object>(message) || std::holds_alternative<wire::TagRecordMessage>(message) ||
         std::holds_alternative<wire::ReceiptStored>(message) || std::holds_alternative<wire::Receipt>(message) ||
         std::holds_alternative<wire::RescueStored>(message) || std::holds_alternative<wire::PushReady>(message) ||
         std::holds_alternative<wire::PushLacks>(message) || std::holds_alternative<wire::PushKept>(message) ||
         std::holds_alternative<wire::ErrorMessage>(message);
}
}  // namespace

DepotLink::DepotLink(Loop& loop, Endpoint endpoint, std::shared_ptr<TlsContext> tls, Events events)
    : loop_(loop),
      endpoint_(std::move(endpoint)),
      tls_(std::move(tls)),
      events_(std::move(events)),
      self_(std::make_shared<DepotLink*>(this)),
      backoff_(kFirstBackoff),
      redial_(loop, [this] { dial(); }),
      heartbeat_(loop, kHeartbeat, [this] { beat(); }) {
  dial();
}

DepotLink::~DepotLink() {
  *self_ = nullptr;
  if (connection_) connection_->close({Code::interrupted, "stopping"});
}

void DepotLink::dial() {
  if (finished_) return;
  Connection::Events events;
  events.ready = [self = self_] {
    if (*self != nullptr) (*self)->connected();
  };
  events.message = [self = self_](wire::Message message) {
    if (*self != nullptr) (*self)->take(std::move(message));
  };
  events.closed = [self = self_](const Error& error) {
    if (*self != nullptr) (*self)->lost(error);
  };
  connection_ = Connection::dial(loop_, endpoint_, tls_, Line::to_depot, std::move(events));
}

void DepotLink::connected() {
  // Another node of this site could answer at that address; only a depot may say what an image is.
  if (connection_->peer()->role != trust::Role::depot)
    return connection_->close({Code::peer_untrusted, fmt::format("{} is not a depot", endpoint_.text())});
  connected_ = true;
  connection_->send(wire::Ping{});
}

void DepotLink::lost(const Error& error) {
  up_ = connected_ = false;
  connection_.reset();
  for (auto questions = std::exchange(questions_, {}); auto& question : questions)
    question.answer(std::unexpected(Error{Code::unreachable, error.message}));
  if (finished_) return;
  redial_.set(system_clock().now() + backoff_);
  backoff_ = std::min(backoff_ * 2, kLastBackoff);
  events_.down(error);
}

void DepotLink::take(wire::Message message) {
  if (std::holds_alternative<wire::Pong>(message)) {
    if (!std::exchange(up_, true)) events_.up();
    return;
  }
  if (questions_.empty() || !is_answer(message)) return events_.message(std::move(message));
  Question& question = questions_.front();
  const auto* error = std::get_if<wire::ErrorMessage>(&message);
  if (error == nullptr) {
    question.got.push_back(std::move(message));
    if (question.got.size() < question.replies) return;
  }
  Question answered = std::move(question);
  questions_.pop_front();
  if (error != nullptr) return answered.answer(std::unexpected(remote_error(*error)));
  of_use();
  answered.answer(std::move(answered.got));
}

void DepotLink::send(const wire::Message& message) {
  if (up_) connection_->send(message);
}

void DepotLink::ask(const wire::Message& question, std::size_t replies, Answer answer) {
  if (!up_) return answer(fail(Code::unreachable, "{}: not connected", endpoint_.text()));
  questions_.push_back({replies, {}, std::move(answer)});
  connection_->send(question);
}

void DepotLink::drop(Error why) {
  if (connection_) connection_->close(std::move(why));
}

void DepotLink::beat() {
  if (!connected_) return;
  if (system_clock().now() - connection_->last_heard() > kSilence)
    return connection_->close({Code::unreachable, fmt::format("{}: silent for too long", endpoint_.text())});
  connection_->send(wire::Ping{});
}

void DepotLink::finish() {
  finished_ = true;
  redial_.cancel();
  if (connection_) connection_->close_after_sending();
}

}  // namespace stampede::net

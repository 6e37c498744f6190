// A target's line to the depot: dials, dials again when it breaks (0.1 s, doubling to 2 s until it was of use), notices a
// depot that has gone silent, and carries questions to their answers. Loop thread only.
//
// The line is up when the depot has answered a Ping: one that does not take this node says so before.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "transport/net/connection.h"

namespace stampede::net {

// Nothing heard for this long, though we ask: the other side is taken for lost.
inline constexpr Duration kSilence = std::chrono::seconds(8);
inline constexpr Duration kHeartbeat = std::chrono::seconds(2);
inline constexpr Duration kFirstBackoff = std::chrono::milliseconds(100);

class DepotLink {
 public:
  struct Events {
    std::function<void()> up;
    std::function<void(wire::Message)> message;  // what is no answer to a question
    std::function<void(const Error&)> down;      // lost, or an attempt that failed; it will be tried again
  };
  using Answer = std::function<void(Result<std::vector<wire::Message>>)>;

  DepotLink(Loop& loop, Endpoint endpoint, std::shared_ptr<TlsContext> tls, Events events);
  ~DepotLink();

  bool up() const { return up_; }
  // Numeric; empty while there is no line.
  std::string local_address() const { return connection_ ? connection_->local_address() : std::string(); }
  std::uint64_t features() const { return connection_ ? connection_->features() : 0; }
  // Something that we wanted has come: when the line breaks, it is dialled again soon.
  void of_use() { backoff_ = kFirstBackoff; }
  // Gives up on this connection and dials another.
  void drop(Error why);
  void send(const wire::Message& message);
  // Sends a question that is answered by `replies` messages of Object, TagRecordMessage, Receipt, ReceiptStored,
  // RescueStored, PushReady, PushLacks, PushKept or ErrorMessage. An ErrorMessage ends the answer (see remote_error()).
  // Fails with `unreachable` if the link is down or breaks.
  void ask(const wire::Message& question, std::size_t replies, Answer answer);
  // Lets what is queued go out, then closes for good.
  void finish();

 private:
  struct Question {
    std::size_t replies = 0;
    std::vector<wire::Message> got;
    Answer answer;
  };
  void dial();
  void connected();
  void take(wire::Message message);
  void lost(const Error& error);
  void beat();

  Loop& loop_;
  Endpoint endpoint_;
  std::shared_ptr<TlsContext> tls_;
  Events events_;
  Connection::Ptr connection_;
  std::shared_ptr<DepotLink*> self_;  // handlers check it: null once this is gone
  std::deque<Question> questions_;
  Duration backoff_;
  Alarm redial_;
  Ticker heartbeat_;
  bool connected_ = false;
  bool up_ = false;
  bool finished_ = false;
};

}  // namespace stampede::net

// One connection to the depot: what a target may ask, and what it gets. Loop thread only.
//
// One question at a time: while one is answered slowly (by the worker, or by many Objects) nothing more is read, and the
// node hears Pongs. Nobody keeps a place for ever: see check().
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "src/service/depot_state.h"
#include "src/service/push_intake.h"

namespace stampede::service {

// Without a certificate: time to enrol. With one: nodes ping every 2 s.
inline constexpr Duration kTimeToEnrol = std::chrono::seconds(10);
inline constexpr Duration kNodeSilence = std::chrono::seconds(30);
// A push of which nothing came for so long gives its place to others. (A disk that is captured may have long runs of zeros.)
inline constexpr Duration kPushSilence = std::chrono::minutes(10);

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(DepotState& depot, net::Connection::Ptr connection, std::function<void()> gone);
  void start();
  void close(const Error& why);
  // The node's key; nothing for a machine that has yet to enrol.
  std::optional<trust::PublicKey> key() const;
  // Once a second: closes what has been silent for too long, and gives a sign of life where an answer takes long.
  void check(Instant now);
  bool is_open() const { return connection_->is_open(); }

 private:
  struct Owed {
    std::uint32_t span = 0;
    bool any = false;  // asked for by WantAny
  };
  void take(wire::Message message);
  void admit();
  void take_from_node(wire::Message& message);
  void told(const wire::ErrorMessage& error);
  void ping(const wire::Ping& ping);
  void enrol(const wire::Enrol& enrol);
  void resolve(const wire::Resolve& question);
  void fetch(const wire::Fetch& question);
  void join(wire::Join join);
  void joined(const wire::Join& join, const Result<std::shared_ptr<SwarmRoom>>& room);
  void bad_peer(const wire::BadPeer& bad);
  void partial(wire::Partial news);
  void want_any(const wire::WantAny& want);
  void requested(const wire::Request& request);
  void progress(const wire::Progress& progress);
  void have(const wire::Have& have);
  void multicast_report(const wire::MulticastReport& report);
  void receipt(const wire::Receipt& receipt);
  void find_receipt(const wire::FindReceipt& question);
  void rescue(wire::RescueFile file);
  bool take_push(wire::Message& message);
  void push_start(wire::PushStart start);
  void push_step(std::function<Result<wire::Message>(PushIntake&)> step);
  void push_over();
  Result<cache::ReceiptRow> check_receipt(const wire::Receipt& receipt) const;
  void send_owed();
  void send_span(const Owed& owed, std::shared_ptr<const chunker::SealedSpan> sealed);
  void send_objects();
  void send_object(const wire::Digest& id, Result<chunker::SealedChunk> chunk);
  void hold(bool held);
  // Runs `work` on the worker, or another one, and what it returns here; nothing is read meanwhile.
  void off_loop(Worker::Work work) { off_loop(depot_.worker, std::move(work)); }
  void off_loop(Worker& worker, Worker::Work work);
  void answer(const Error& error);
  void refuse(const Error& error);
  void misbehaved(std::string_view what);
  void left();
  std::string who() const;

  DepotState& depot_;
  net::Connection::Ptr connection_;
  Instant since_;
  std::function<void()> gone_;
  Expected::Place expected_;  // from its question what an image is until it listens
  std::shared_ptr<SwarmRoom> room_;
  swarm::MemberId member_ = 0;
  std::deque<Owed> owed_;             // to send as the connection drains
  bool reading_ = false;              // one of them
  std::deque<wire::Digest> objects_;  // the same
  bool reading_object_ = false;
  bool held_ = false;  // a question is being answered
  bool finished_ = false;
  struct Push {
    std::shared_ptr<PushIntake> intake;
    std::shared_ptr<void> place;
  };
  std::optional<Push> push_;
  Instant pushed_;  // when something of it came last
};

}  // namespace stampede::service

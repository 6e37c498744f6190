// One connection to the depot: what a target may ask, and what it gets. Loop thread only.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "src/service/site.h"
#include "src/service/swarm_room.h"

namespace stampede::service {

// What sessions share.
struct DepotState {
  cache::Store& store;
  const Site& site;
  std::map<chunker::ImageId, std::shared_ptr<SwarmRoom>> rooms;

  // The image's room, opened at first use.
  Result<std::shared_ptr<SwarmRoom>> room(const chunker::ImageId& image);
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(DepotState& depot, net::Connection::Ptr connection, std::function<void()> gone);
  void start();
  void close();

 private:
  void take(wire::Message message);
  void take_from_node(wire::Message& message);
  void enrol(const wire::Enrol& enrol);
  void resolve(const wire::Resolve& question);
  void fetch(const wire::Fetch& question);
  void join(const wire::Join& join);
  void want_any(const wire::WantAny& want);
  void requested(const wire::Request& request);
  void progress(const wire::Progress& progress);
  void have(const wire::Have& have);
  void receipt(const wire::Receipt& receipt);
  void send_owed();
  void refuse(const Error& error);
  void misbehaved(std::string_view what);
  void left();
  std::string who() const;

  DepotState& depot_;
  net::Connection::Ptr connection_;
  std::function<void()> gone_;
  std::shared_ptr<SwarmRoom> room_;
  swarm::MemberId member_ = 0;
  std::deque<std::uint32_t> owed_;  // spans to send as the connection drains
  bool finished_ = false;
};

}  // namespace stampede::service

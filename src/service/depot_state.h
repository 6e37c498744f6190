// What the sessions of a depot share: the store, the rooms of the images that are being deployed, the worker, and what each
// node has used of its allowance. Loop thread only.
#pragma once

#include <map>
#include <set>

#include "src/service/depot.h"
#include "src/service/expected.h"
#include "src/service/holds.h"
#include "src/service/swarm_room.h"
#include "src/service/worker.h"

namespace stampede::service {

// A node's receipts, and its rescue files, above which it has to wait: each is a write to the disk.
inline constexpr unsigned kWritesAnHour = 60;
// Nodes that one node may name as bad; they go into the audit log, once each.
inline constexpr std::size_t kBadPeersOfANode = 64;

struct Workers {
  Worker& worker;  // the catalog, and manifests
  Worker& reader;  // packs: what waits for a disk that writes does not hold it up
  Worker& intake;  // what is pushed
};

class DepotState {
 public:
  DepotState(net::Loop& loop, cache::Store& store_, const Site& site_, const Workers& workers, const DepotOptions& options)
      : store(store_),
        site(site_),
        worker(workers.worker),
        reader(workers.reader),
        intake(workers.intake),
        push_reserve(options.push_reserve),
        holds(store_),
        loop_(loop),
        cast_(options.multicast) {}

  using RoomReady = std::function<void(Result<std::shared_ptr<SwarmRoom>>)>;
  // Hands over the image's room, at once or when its manifest has been read on the worker.
  void with_room(const chunker::ImageId& image, RoomReady ready);
  // Tells members of each other, and lets go of empty rooms.
  void tend_rooms(Instant now);
  // Keeps the rooms' images from the garbage collection, and gives back the space of packs that it removed. Now and then.
  void tend_store(Instant now);
  std::vector<net::CastStatus> streams() const;
  void close_rooms() { rooms_.clear(); }

  bool may_send_receipt(const trust::PublicKey& node, Instant now) { return counts(node, now, &Hour::receipts); }
  bool may_send_rescue(const trust::PublicKey& node, Instant now) { return counts(node, now, &Hour::rescues); }
  // A place for a push, which is free again with the last copy; nothing where kMaxPushes are taken.
  std::shared_ptr<void> push_place() {
    return static_cast<std::size_t>(pushes_.use_count()) > kMaxPushes ? nullptr : std::shared_ptr<void>(pushes_);
  }
  // False: said already, or often enough.
  bool names_bad_peer(const trust::PublicKey& node, const trust::PublicKey& bad);

  cache::Store& store;
  const Site& site;
  Worker& worker;
  Worker& reader;
  Worker& intake;
  const Size push_reserve;
  Holds holds;
  Expected expected;

 private:
  CastOptions next_group();

  net::Loop& loop_;
  std::optional<CastOptions> cast_;
  Instant next_look_;             // at the packs
  std::uint16_t cast_ports_ = 0;  // that were given out
  std::shared_ptr<void> pushes_ = std::make_shared<char>();
  struct Hour {
    Instant since;
    unsigned receipts = 0;
    unsigned rescues = 0;
  };
  bool counts(const trust::PublicKey& node, Instant now, unsigned Hour::* what);
  // Both have an entry for each enrolled node at most.
  std::map<trust::PublicKey, Hour> hours_;
  std::map<trust::PublicKey, std::set<trust::PublicKey>> bad_peers_;
  std::map<chunker::ImageId, std::shared_ptr<SwarmRoom>> rooms_;
  std::map<chunker::ImageId, std::vector<RoomReady>> opening_;
};

}  // namespace stampede::service

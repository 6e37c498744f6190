// Which spans are still to be asked for ("open": lacking, and neither under way nor received) and which peers hold them.
// Private to this room; not thread-safe.
//
// Memory: 2 bits for a span and 1 more for each peer (16 M spans and 32 peers: 68 MiB). Adding and removing a peer walks its
// bitmap; every other call costs at most a few bit tests per peer, and rarest() and orphan() a short scan.
#pragma once

#include <functional>
#include <map>
#include <optional>

#include "src/base/bitmap.h"
#include "src/base/seams.h"
#include "transport/swarm/picker.h"
#include "transport/swarm/scan.h"

namespace stampede::swarm {

class Availability {
 public:
  using Filter = std::function<bool(std::uint32_t)>;

  // Everything that is not in `have` is open.
  explicit Availability(const Bitmap& have);

  void open(std::uint32_t span);
  void close(std::uint32_t span);
  bool is_open(std::uint32_t span) const { return open_.test(span); }
  std::uint32_t open_count() const { return open_.count(); }
  // Open spans that no peer holds.
  std::uint32_t orphans() const { return orphans_.total(); }

  void add(PeerId peer, Bitmap has);
  void remove(PeerId peer);
  // True if the span was an orphan.
  bool announce(PeerId peer, std::uint32_t span);
  void retract(PeerId peer, std::uint32_t span);
  bool holds(PeerId peer, std::uint32_t span) const;
  // Open spans that the peer holds.
  std::uint32_t useful(PeerId peer) const;

  // A random one of the rarest among some two dozen random open spans that the peer holds and `allowed` lets through.
  std::optional<std::uint32_t> rarest(PeerId peer, Random& random, const Filter& allowed) const;
  // A random orphan that `allowed` lets through.
  std::optional<std::uint32_t> orphan(Random& random, const Filter& allowed) const;
  // A random open span that peers hold and `allowed` lets through. Walks the bitmap where these are few.
  std::optional<std::uint32_t> held(Random& random, const Filter& allowed) const;

 private:
  struct Holder {
    Bitmap has;
    BlockCounts useful;
  };
  std::uint32_t holders(std::uint32_t span) const;
  void count_orphans();

  Bitmap open_;
  Bitmap held_;  // by at least one peer
  BlockCounts orphans_;
  std::map<PeerId, Holder> peers_;
};

}  // namespace stampede::swarm

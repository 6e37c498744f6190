// While a disk's own chunks are moved into their places, the network brings what it lacks: at once the spans of which the
// disk has nothing elsewhere, and of the others, as their moves are over, the parts that are lacking then.
#pragma once

#include <span>

#include "src/deploy/moves.h"
#include "src/deploy/receiver.h"
#include "transport/net/node.h"

namespace stampede::deploy {

// One thread. All that it is given outlives it.
class Meanwhile {
 public:
  // After the swarm is joined, before it has credit. Whoever has carried out the moves calls hold_parts() once more.
  Meanwhile(const Plan& plan, Receiver& receiver, net::Node& node, std::span<const Move> moves);
  // See Settled.
  void settled(std::span<const chunker::SpanIndex> spans);

 private:
  void tell();

  const Plan& plan_;
  Receiver& receiver_;
  net::Node& node_;
  Bitmap unsettled_;
  std::size_t told_ = 0, untold_ = 0;  // settled spans that lack parts
};

}  // namespace stampede::deploy

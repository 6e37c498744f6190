// The three kinds of line, seen from this end, and what may arrive on each: asked of every frame's header, before memory is
// taken for its payload. So an enrolled node cannot make a depot hold an Object, nor a peer a target.
#pragma once

#include <cstdint>

namespace stampede::net {

enum class Line : std::uint8_t {
  from_node,  // we are the depot
  to_depot,   // we are a target, or a machine that enrols
  peers,      // between two targets
};

// `identified`: the other side has shown a certificate; without one it can say Hello and Enrol.
bool may_arrive(Line line, std::uint8_t frame_type, bool identified);

}  // namespace stampede::net

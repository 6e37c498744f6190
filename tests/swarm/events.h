// Random event sequences for Picker and Origin, decoded from bytes, with the invariants that must hold whatever happens. The
// fuzz target feeds them the fuzzer's bytes, a unit test seeded random ones. Each returns what went wrong, or nothing.
#pragma once

#include <string>

#include "src/base/bytes.h"

namespace stampede::swarm {

// Never more than the credit under way, never a span that is held, never an absent peer, never twice from one peer; and
// once the sources behave, it completes.
std::string run_picker(ByteView input);
// Never a span that the member holds or that was sent to it, never more than asked for; and a member that is left alone gets
// everything that it lacks.
std::string run_origin(ByteView input);

}  // namespace stampede::swarm

// Random event sequences for Receiver and Carousel, decoded from bytes, with the invariants that must hold whatever happens.
// The fuzz targets feed them the fuzzer's bytes, a unit test seeded random ones. Each returns what went wrong, or nothing.
#pragma once

#include <string>

#include "src/base/bytes.h"

namespace stampede::multicast {

// Never more memory than allowed, never a span twice, never one that is held; what is stale is named once.
std::string run_receiver(ByteView input);
// Never more symbols than there is room, never of a span that nobody lacks, numbers without gaps, no frame asked for twice
// at a time; and once members say that they hold everything, it is idle.
std::string run_carousel(ByteView input);

}  // namespace stampede::multicast

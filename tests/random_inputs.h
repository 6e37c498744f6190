// For tests that decode a sequence of events from bytes: what a fuzz target gets from the fuzzer, from a printed seed.
#pragma once

#include <gtest/gtest.h>

#include "src/base/seams.h"

namespace stampede {

// Seeds 1 … rounds, inputs shorter than `longest`. `run` returns what went wrong, or nothing.
template <class Run>
void run_many(Run run, int rounds, std::size_t longest) {
  for (int seed = 1; seed <= rounds; ++seed) {
    SeededRandom random(static_cast<std::uint64_t>(seed));
    Bytes input(random.below(longest));
    random.fill(input);
    ASSERT_EQ(run(input), "") << "seed " << seed;
  }
}

}  // namespace stampede

#include "tests/multicast/events.h"

#include <gtest/gtest.h>

#include "src/base/seams.h"

namespace stampede::multicast {
namespace {

template <class Run>
void run_many(Run run, int rounds) {
  for (int seed = 1; seed <= rounds; ++seed) {
    SeededRandom random(static_cast<std::uint64_t>(seed));
    Bytes input(random.below(4000));
    random.fill(input);
    ASSERT_EQ(run(input), "") << "seed " << seed;
  }
}

TEST(Events, ReceiverKeepsItsContract) { run_many(run_receiver, 500); }
TEST(Events, CarouselKeepsItsContract) { run_many(run_carousel, 300); }

}  // namespace
}  // namespace stampede::multicast

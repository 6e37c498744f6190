#include "tests/swarm/events.h"

#include <gtest/gtest.h>

#include "src/base/seams.h"

namespace stampede::swarm {
namespace {

template <class Run>
void run_many(Run run, int rounds) {
  for (int seed = 1; seed <= rounds; ++seed) {
    SeededRandom random(static_cast<std::uint64_t>(seed));
    Bytes input(random.below(3000));
    random.fill(input);
    ASSERT_EQ(run(input), "") << "seed " << seed;
  }
}

TEST(Events, PickerKeepsItsContract) { run_many(run_picker, 1500); }
TEST(Events, OriginKeepsItsContract) { run_many(run_origin, 1500); }

}  // namespace
}  // namespace stampede::swarm

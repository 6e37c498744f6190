#include "tests/swarm/events.h"

#include <gtest/gtest.h>

#include "tests/random_inputs.h"

namespace stampede::swarm {
namespace {

TEST(Events, PickerKeepsItsContract) { run_many(run_picker, 1500, 3000); }
TEST(Events, OriginKeepsItsContract) { run_many(run_origin, 1500, 3000); }

}  // namespace
}  // namespace stampede::swarm

#include "tests/multicast/events.h"

#include <gtest/gtest.h>

#include "tests/random_inputs.h"

namespace stampede::multicast {
namespace {

TEST(Events, ReceiverKeepsItsContract) { run_many(run_receiver, 500, 4000); }
TEST(Events, CarouselKeepsItsContract) { run_many(run_carousel, 300, 4000); }

}  // namespace
}  // namespace stampede::multicast

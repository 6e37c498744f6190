#include "transport/multicast/need.h"

#include <gtest/gtest.h>

#include <vector>

#include "src/base/seams.h"

namespace stampede::multicast {
namespace {

// What a generation of 64 needed, by trial.
std::uint32_t trial(double loss, std::size_t members, SeededRandom& random) {
  std::uint32_t most = 0;
  for (std::size_t i = 0; i < members; ++i) {
    std::uint32_t lost = 0;
    for (std::uint32_t got = 0; got < 64;) {
      if (static_cast<double>(random.below(1'000'000)) < loss * 1e6)
        ++lost;
      else
        ++got;
    }
    most = std::max(most, lost);
  }
  return most;
}

TEST(Need, IsHardlyEverTooMuch) {
  SeededRandom random(1);
  for (const double loss : {0.01, 0.05, 0.2, 0.3}) {
    const std::uint32_t sure = sure_need(std::vector<double>(8, loss), 64);
    int less = 0, no_more = 0;
    for (int i = 0; i < 2000; ++i) {
      const std::uint32_t need = trial(loss, 8, random);
      less += need < sure ? 1 : 0;
      no_more += need <= sure ? 1 : 0;
    }
    EXPECT_LT(less, 260) << loss;
    EXPECT_GT(no_more, 100) << loss;  // and it is the greatest such number
  }
}

TEST(Need, NothingWhereNothingIsLost) {
  EXPECT_EQ(sure_need({}, 64), 0U);
  EXPECT_EQ(sure_need(std::vector<double>(10'000, 0.0), 64), 0U);
  EXPECT_GT(sure_need(std::vector<double>(10'000, 0.001), 64), 0U);
  EXPECT_EQ(sure_need(std::vector<double>{1.0, 1.0}, 64), sure_need(std::vector<double>{0.5, 0.5}, 64));
}

}  // namespace
}  // namespace stampede::multicast

#include "transport/swarm/scan.h"

#include <gtest/gtest.h>

#include <set>

#include "src/base/bitmap.h"
#include "src/base/seams.h"

namespace stampede::swarm {
namespace {

TEST(Scan, VisitsEverythingOnceFromTheStartRound) {
  SeededRandom random(2);
  for (const std::uint32_t size : {1U, 63U, 64U, 65U, 4095U, 4096U, 4097U, 20000U}) {
    for (int round = 0; round < 20; ++round) {
      Bitmap bits(size);
      BlockCounts counts(size);
      std::set<std::uint32_t> wanted;
      for (std::uint64_t n = random.below(40); n > 0; --n) {
        const auto i = static_cast<std::uint32_t>(random.below(size));
        if (bits.set(i)) counts.add(i), wanted.insert(i);
      }
      const auto start = static_cast<std::uint32_t>(random.below(size));
      std::vector<std::uint32_t> got;
      scan_around(
          counts, bits.words(), start, [&](std::uint32_t i) { return bits.word(i); },
          [&](std::uint32_t i) {
            got.push_back(i);
            return true;
          });
      std::vector<std::uint32_t> expected(wanted.lower_bound(start), wanted.end());
      expected.insert(expected.end(), wanted.begin(), wanted.lower_bound(start));
      ASSERT_EQ(got, expected) << "size " << size << " start " << start;
    }
  }
}

}  // namespace
}  // namespace stampede::swarm

#include "transport/multicast/fec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

#include "src/base/seams.h"

namespace stampede::multicast {
namespace {

struct Generation {
  std::vector<Bytes> data;
  std::size_t size = 0;

  Generation(std::size_t k, std::size_t symbol, Random& random) : data(k, Bytes(symbol)), size(symbol) {
    for (Bytes& bytes : data) random.fill(bytes);
  }
  std::vector<std::byte*> places() {
    std::vector<std::byte*> out;
    for (Bytes& bytes : data) out.push_back(bytes.data());
    return out;
  }
  Bytes parity(std::uint32_t index) {
    Bytes out(size);
    const std::vector<std::byte*> from = places();
    const std::vector<const std::byte*> in(from.begin(), from.end());
    std::byte* const to = out.data();
    encode_parity(in, size, index, std::span(&to, 1));
    return out;
  }
};

// `count` different numbers of first … first+of-1.
std::vector<std::uint8_t> choose(std::size_t count, std::size_t first, std::size_t of, Random& random) {
  std::vector<std::uint8_t> all(of);
  std::iota(all.begin(), all.end(), static_cast<std::uint8_t>(first));
  for (std::size_t i = 0; i < count; ++i) std::swap(all[i], all[i + random.below(of - i)]);
  all.resize(count);
  return all;
}

void lose_and_restore(std::size_t k, std::size_t lost, std::size_t size, Random& random) {
  Generation generation(k, size, random);
  const std::vector<Bytes> original = generation.data;
  std::vector<Bytes> spare;
  std::vector<Parity> parity;
  for (const std::uint8_t index : choose(lost, k, 255 - k, random)) {
    spare.push_back(generation.parity(index));
    parity.push_back({index, spare.back().data()});
  }
  const auto missing = choose(lost, 0, k, random);
  for (const std::uint8_t i : missing) random.fill(generation.data[i]);
  restore(generation.places(), missing, parity, size);
  ASSERT_TRUE(generation.data == original) << "k " << k << ", lost " << lost << ", size " << size;
}

TEST(Fec, RestoresAnyLossFromAnyParity) {
  SeededRandom random(1);
  for (std::size_t k = 1; k <= 64; ++k) {
    for (std::size_t lost = 0; lost <= k; ++lost) lose_and_restore(k, lost, 48, random);
  }
}

TEST(Fec, OfEverySymbolSize) {
  SeededRandom random(2);
  for (const std::size_t size : {1, 31, 512, 1408, 1424, 8976}) {
    for (int round = 0; round < 10; ++round) {
      const std::size_t k = 1 + random.below(64);
      lose_and_restore(k, random.below(k + 1), size, random);
    }
  }
}

// The field by its definition, x^8 + x^4 + x^3 + x^2 + 1: the code is a contract between machines.
unsigned times(unsigned a, unsigned b) {
  unsigned out = 0;
  for (; b != 0; b >>= 1) {
    if ((b & 1) != 0) out ^= a;
    a = a << 1 ^ ((a & 0x80) != 0 ? 0x11D : 0);
  }
  return out;
}
unsigned inverse(unsigned a) {
  unsigned b = 1;
  while (times(a, b) != 1) ++b;
  return b;
}

TEST(Fec, TheRowsAreThoseOfTheContract) {
  SeededRandom random(3);
  for (const std::size_t k : {1, 2, 63, 64}) {
    Generation generation(k, 64, random);
    for (const std::uint32_t index : {static_cast<std::uint32_t>(k), 100U, 254U}) {
      const Bytes parity = generation.parity(index);
      for (std::size_t at = 0; at < 64; ++at) {
        unsigned sum = 0;
        for (std::uint32_t j = 0; j < k; ++j)
          sum ^= times(inverse(index ^ j), std::to_integer<unsigned>(generation.data[j][at]));
        ASSERT_EQ(sum, std::to_integer<unsigned>(parity[at])) << "k " << k << ", row " << index;
      }
    }
  }
}

TEST(Fec, SeveralRowsAtOnceAreTheSame) {
  SeededRandom random(4);
  Generation generation(64, 1424, random);
  std::array<Bytes, 5> rows;
  rows.fill(Bytes(1424));
  std::vector<std::byte*> to;
  for (Bytes& row : rows) to.push_back(row.data());
  const std::vector<std::byte*> from = generation.places();
  encode_parity(std::vector<const std::byte*>(from.begin(), from.end()), 1424, 70, to);
  for (std::uint32_t i = 0; i < 5; ++i) EXPECT_TRUE(rows[i] == generation.parity(70 + i));
}

TEST(Fec, RefusesWhatIsNoCode) {
  SeededRandom random(5);
  Generation generation(4, 32, random);
  EXPECT_THROW(generation.parity(3), std::invalid_argument);
  EXPECT_THROW(generation.parity(255), std::invalid_argument);
  const Bytes row = generation.parity(9);
  const std::array<std::uint8_t, 2> missing{0, 1};
  const std::array<Parity, 2> twice{Parity{9, row.data()}, Parity{9, row.data()}};
  EXPECT_THROW(restore(generation.places(), missing, twice, 32), std::invalid_argument);
  EXPECT_THROW(restore(generation.places(), missing, std::span(twice).first(1), 32), std::invalid_argument);
}

}  // namespace
}  // namespace stampede::multicast

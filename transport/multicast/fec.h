// Systematic Reed-Solomon over GF(2^8) with a Cauchy matrix: of a generation's k data symbols and its parity, any k restore
// it. Row i of the code (k <= i < 255) is the sum over j of data[j] / (i xor j). Computed by ISA-L; this is its only home.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace stampede::multicast {

// parity[i] becomes row first + i; every symbol has `size` bytes. Rows lie in k … 254, k is data.size().
void encode_parity(std::span<const std::byte* const> data, std::size_t size, std::uint32_t first,
                   std::span<std::byte* const> parity);

struct Parity {
  std::uint32_t index = 0;
  const std::byte* bytes = nullptr;
};
// Writes data[i] for every i in `missing`, from the other data symbols and as many different parity symbols. Inverts only
// the matrix of what is missing: that of all k costs 1 ms at k = 64, where 3 are missing it costs 1 us.
void restore(std::span<std::byte* const> data, std::span<const std::uint8_t> missing, std::span<const Parity> parity,
             std::size_t size);

}  // namespace stampede::multicast

#include "transport/multicast/fec.h"

#include <algorithm>
#include <stdexcept>
#include <vector>

#include <isa-l/erasure_code.h>

namespace stampede::multicast {
namespace {

using Matrix = std::vector<unsigned char>;

unsigned char coefficient(std::uint32_t row, std::uint32_t column) {
  return gf_inv(static_cast<unsigned char>(row ^ column));
}

// out[r] = the sum over c of matrix[r][c] * in[c]. ISA-L takes its inputs without const.
void multiply(Matrix& matrix, std::span<const std::byte* const> in, std::span<std::byte* const> out, std::size_t size) {
  const int columns = static_cast<int>(in.size());
  const int rows = static_cast<int>(out.size());
  Matrix tables(matrix.size() * 32);
  ec_init_tables(columns, rows, matrix.data(), tables.data());
  std::vector<unsigned char*> from(in.size());
  std::ranges::transform(in, from.begin(), [](const std::byte* p) {
    return reinterpret_cast<unsigned char*>(const_cast<std::byte*>(p));  // NOLINT(cppcoreguidelines-pro-type-const-cast)
  });
  std::vector<unsigned char*> to(out.size());
  std::ranges::transform(out, to.begin(), [](std::byte* p) { return reinterpret_cast<unsigned char*>(p); });
  ec_encode_data(static_cast<int>(size), columns, rows, tables.data(), from.data(), to.data());
}

// The inverse of the rows of `parity` at the columns of `missing`: every square part of a Cauchy matrix has one.
Matrix inverse(std::span<const std::uint8_t> missing, std::span<const Parity> parity) {
  const std::size_t n = missing.size();
  Matrix erased(n * n);
  Matrix out(n * n);
  for (std::size_t r = 0; r < n; ++r) {
    for (std::size_t c = 0; c < n; ++c) erased[r * n + c] = coefficient(parity[r].index, missing[c]);
  }
  if (gf_invert_matrix(erased.data(), out.data(), static_cast<int>(n)) != 0)
    throw std::invalid_argument("restore: parity symbols are not different");
  return out;
}

}  // namespace

void encode_parity(std::span<const std::byte* const> data, std::size_t size, std::uint32_t first,
                   std::span<std::byte* const> parity) {
  const std::size_t k = data.size();
  if (k == 0 || first < k || first + parity.size() > 255) throw std::invalid_argument("encode_parity: no such row");
  Matrix rows(parity.size() * k);
  for (std::size_t r = 0; r < parity.size(); ++r) {
    for (std::size_t c = 0; c < k; ++c)
      rows[r * k + c] = coefficient(first + static_cast<std::uint32_t>(r), static_cast<std::uint32_t>(c));
  }
  multiply(rows, data, parity, size);
}

// The missing are inverse * (parity + code of the present), which is one product of a matrix with parity and present.
void restore(std::span<std::byte* const> data, std::span<const std::uint8_t> missing, std::span<const Parity> parity,
             std::size_t size) {
  const std::size_t n = missing.size();
  if (n == 0) return;
  if (parity.size() != n) throw std::invalid_argument("restore: not as much parity as is missing");
  const Matrix inverted = inverse(missing, parity);
  std::vector<const std::byte*> in;
  std::vector<std::uint8_t> present;
  for (const Parity& p : parity) in.push_back(p.bytes);
  for (std::size_t i = 0; i < data.size(); ++i) {
    if (std::ranges::find(missing, i) != missing.end()) continue;
    present.push_back(static_cast<std::uint8_t>(i));
    in.push_back(data[i]);
  }
  Matrix matrix(n * in.size());
  for (std::size_t r = 0; r < n; ++r) {
    unsigned char* row = matrix.data() + r * in.size();
    std::copy_n(inverted.data() + r * n, n, row);
    for (std::size_t c = 0; c < present.size(); ++c) {
      unsigned char sum = 0;
      for (std::size_t i = 0; i < n; ++i) sum ^= gf_mul(row[i], coefficient(parity[i].index, present[c]));
      row[n + c] = sum;
    }
  }
  std::vector<std::byte*> out;
  for (const std::uint8_t i : missing) out.push_back(data[i]);
  multiply(matrix, in, out, size);
}

}  // namespace stampede::multicast

#include "src/base/bitmap.h"

#include <algorithm>
#include <bit>

namespace stampede {

std::optional<Bitmap> Bitmap::from_bytes(std::uint32_t size, ByteView bytes) {
  if (bytes.size() != (std::size_t{size} + 7) / 8) return std::nullopt;
  if (size % 8 != 0 && std::to_integer<unsigned>(bytes.back()) >> (size % 8) != 0) return std::nullopt;
  Bitmap out(size);
  std::ranges::copy(bytes, out.bits_.begin());
  for (std::uint32_t i = 0; i < out.words(); ++i) out.count_ += static_cast<std::uint32_t>(std::popcount(out.word(i)));
  return out;
}

bool Bitmap::set(std::uint32_t i) {
  if (test(i)) return false;
  bits_[i / 8] |= static_cast<std::byte>(1U << (i % 8));
  ++count_;
  return true;
}

bool Bitmap::clear(std::uint32_t i) {
  if (!test(i)) return false;
  bits_[i / 8] &= ~static_cast<std::byte>(1U << (i % 8));
  --count_;
  return true;
}

void Bitmap::set_all(const Bitmap& other) {
  count_ = 0;
  for (std::uint32_t i = 0; i < words(); ++i) {
    const std::uint64_t both = word(i) | other.word(i);
    store_le(MutableBytes(bits_).subspan(std::size_t{i} * 8, 8), both);
    count_ += static_cast<std::uint32_t>(std::popcount(both));
  }
}

}  // namespace stampede

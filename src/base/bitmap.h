// A set of span indices with a count: bit i of byte i/8, as on the wire. An index must be below size().
#pragma once

#include <cstdint>
#include <optional>

#include "src/base/bytes.h"

namespace stampede {

class Bitmap {
 public:
  Bitmap() = default;
  explicit Bitmap(std::uint32_t size) : bits_((std::size_t{size} + 63) / 64 * 8), size_(size) {}
  // From the wire; nothing if the length is wrong or a bit past the end is set.
  static std::optional<Bitmap> from_bytes(std::uint32_t size, ByteView bytes);

  std::uint32_t size() const { return size_; }
  std::uint32_t count() const { return count_; }
  bool full() const { return count_ == size_; }
  bool test(std::uint32_t i) const { return (std::to_integer<unsigned>(bits_[i / 8]) >> (i % 8) & 1U) != 0; }
  bool set(std::uint32_t i);          // true if it was clear
  bool clear(std::uint32_t i);        // true if it was set
  void set_all(const Bitmap& other);  // the union with a bitmap of the same size
  ByteView bytes() const { return ByteView(bits_).first((std::size_t{size_} + 7) / 8); }

  // 64 bits at a time, for scans: bit i%64 of word i/64; zeros past the end.
  std::uint32_t words() const { return static_cast<std::uint32_t>(bits_.size() / 8); }
  std::uint64_t word(std::uint32_t i) const {
    return load_le<std::uint64_t>(ByteView(bits_).subspan(std::size_t{i} * 8, 8));
  }

 private:
  Bytes bits_;  // whole words
  std::uint32_t size_ = 0;
  std::uint32_t count_ = 0;
};

}  // namespace stampede

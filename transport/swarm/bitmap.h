// A set of span indices with a count: bit i of byte i/8, as on the wire.
#pragma once

#include <cstdint>
#include <optional>

#include "src/base/bytes.h"

namespace stampede::swarm {

class Bitmap {
 public:
  Bitmap() = default;
  explicit Bitmap(std::uint32_t size) : bits_((size + 7) / 8), size_(size) {}
  // From the wire; nothing if the length is wrong or a bit past the end is set.
  static std::optional<Bitmap> from_bytes(std::uint32_t size, ByteView bytes);

  std::uint32_t size() const { return size_; }
  std::uint32_t count() const { return count_; }
  bool full() const { return count_ == size_; }
  bool test(std::uint32_t i) const { return (std::to_integer<unsigned>(bits_[i / 8]) >> (i % 8) & 1U) != 0; }
  bool set(std::uint32_t i);    // true if it was clear
  bool clear(std::uint32_t i);  // true if it was set
  ByteView bytes() const { return bits_; }

 private:
  Bytes bits_;
  std::uint32_t size_ = 0;
  std::uint32_t count_ = 0;
};

}  // namespace stampede::swarm

// Bytes that are received and passed on whole: without an initial value, and cut down in place instead of copied.
#pragma once

#include <algorithm>
#include <memory>

#include "src/base/bytes.h"

namespace stampede {

// Owns its memory like a vector (copies are deep). Unlike a vector it does not write what will be written anyway, and a
// frame's payload can become the buffer without moving: last() forgets the bytes before it.
class Buffer {
 public:
  constexpr Buffer() = default;
  explicit Buffer(std::size_t size)
      : memory_(std::make_unique_for_overwrite<std::byte[]>(size)), capacity_(size), size_(size) {}
  explicit Buffer(ByteView bytes) : Buffer(bytes.size()) { std::ranges::copy(bytes, memory_.get()); }
  Buffer(const Buffer& other) : Buffer(ByteView(other)) {}
  constexpr Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer other) noexcept {
    swap(other);
    return *this;
  }
  constexpr ~Buffer() = default;

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::size_t capacity() const { return capacity_; }  // memory taken
  std::byte* data() { return memory_.get() + at_; }
  const std::byte* data() const { return memory_.get() + at_; }
  operator MutableBytes() { return {data(), size_}; }    // NOLINT(google-explicit-constructor): as std::vector to std::span
  operator ByteView() const { return {data(), size_}; }  // NOLINT(google-explicit-constructor)
  bool operator==(const Buffer& other) const { return std::ranges::equal(ByteView(*this), ByteView(other)); }

  // Only the first, or the last, `size` bytes remain.
  Buffer first(std::size_t size) && {
    size_ = size;
    return std::move(*this);
  }
  Buffer last(std::size_t size) && {
    at_ += size_ - size;
    size_ = size;
    return std::move(*this);
  }

 private:
  constexpr void swap(Buffer& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(capacity_, other.capacity_);
    std::swap(at_, other.at_);
    std::swap(size_, other.size_);
  }

  std::unique_ptr<std::byte[]> memory_;
  std::size_t capacity_ = 0;
  std::size_t at_ = 0;
  std::size_t size_ = 0;
};

}  // namespace stampede

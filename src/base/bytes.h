// Bytes, views of them, and bounds-checked little-endian reading and writing: every format of ours goes through here.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace stampede {

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

inline ByteView as_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }
inline std::string_view as_text(ByteView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
inline Bytes copy(ByteView bytes) { return {bytes.begin(), bytes.end()}; }
bool all_zero(ByteView bytes);

// Asks for what will be read soon; without any effect but on time. The processor's own prefetching stops where a page ends,
// so it pays to ask for the next page of memory that nobody touched lately while this one is worked on.
inline void prefetch(ByteView bytes) {
  constexpr std::ptrdiff_t kCacheLine = 64;
  const std::byte* const end = bytes.data() + bytes.size();
  for (const std::byte* at = bytes.data(); at < end; at += kCacheLine) __builtin_prefetch(at);
}

std::string to_hex(ByteView bytes);
std::optional<Bytes> from_hex(std::string_view text);
// RFC 4648 §5 without padding.
std::string to_base64url(ByteView bytes);
std::optional<Bytes> from_base64url(std::string_view text);
// "1.5 GiB"; "312 kB/s" style rates are built from it.
std::string human_size(std::uint64_t bytes);

static_assert(std::endian::native == std::endian::little, "formats are little-endian; a port needs byte swaps here");

template <std::unsigned_integral T>
T load_le(ByteView bytes) {
  T value;
  std::memcpy(&value, bytes.first(sizeof value).data(), sizeof value);
  return value;
}
template <std::unsigned_integral T>
void store_le(MutableBytes bytes, T value) {
  std::memcpy(bytes.first(sizeof value).data(), &value, sizeof value);
}

// Reads from hostile bytes. The first read past the end makes it fail; later reads give zeros, so a decoder checks ok()
// once where it matters. Views returned point into the input.
class ByteReader {
 public:
  explicit ByteReader(ByteView input) : rest_(input) {}

  template <std::unsigned_integral T>
  T number() {
    const ByteView bytes = view(sizeof(T));
    return bytes.empty() ? T{} : load_le<T>(bytes);
  }
  std::uint8_t u8() { return number<std::uint8_t>(); }
  std::uint16_t u16() { return number<std::uint16_t>(); }
  std::uint32_t u32() { return number<std::uint32_t>(); }
  std::uint64_t u64() { return number<std::uint64_t>(); }

  // The next `size` bytes, or nothing (and failure) if there are fewer.
  ByteView view(std::size_t size) {
    if (failed_ || size > rest_.size()) {
      failed_ = true;
      return {};
    }
    const ByteView bytes = rest_.first(size);
    rest_ = rest_.subspan(size);
    return bytes;
  }
  template <std::size_t N>
  std::array<std::byte, N> array() {
    std::array<std::byte, N> out{};
    if (const ByteView bytes = view(N); !bytes.empty()) std::memcpy(out.data(), bytes.data(), N);
    return out;
  }
  // A u32 length, refused above `limit`, and that many bytes.
  ByteView sized(std::size_t limit) {
    const std::size_t size = u32();
    if (size > limit) failed_ = true;
    return view(failed_ ? 0 : size);
  }
  std::string text(std::size_t limit) { return std::string(as_text(sized(limit))); }

  std::size_t left() const { return rest_.size(); }
  bool ok() const { return !failed_; }
  bool ok_and_empty() const { return !failed_ && rest_.empty(); }

 private:
  ByteView rest_;
  bool failed_ = false;
};

// Appends to a buffer that it owns.
class ByteWriter {
 public:
  ByteWriter() = default;
  explicit ByteWriter(std::size_t reserve) { out_.reserve(reserve); }

  template <std::unsigned_integral T>
  ByteWriter& number(T value) {
    const std::size_t at = out_.size();
    out_.resize(at + sizeof value);
    store_le(MutableBytes(out_).subspan(at), value);
    return *this;
  }
  ByteWriter& u8(std::uint8_t v) { return number(v); }
  ByteWriter& u16(std::uint16_t v) { return number(v); }
  ByteWriter& u32(std::uint32_t v) { return number(v); }
  ByteWriter& u64(std::uint64_t v) { return number(v); }
  ByteWriter& raw(ByteView bytes) {
    out_.insert(out_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  ByteWriter& sized(ByteView bytes) { return u32(static_cast<std::uint32_t>(bytes.size())).raw(bytes); }
  ByteWriter& text(std::string_view text) { return sized(as_bytes(text)); }

  std::size_t size() const { return out_.size(); }
  MutableBytes bytes() { return out_; }
  Bytes take() { return std::move(out_); }

 private:
  Bytes out_;
};

}  // namespace stampede

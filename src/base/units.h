// Ids, counts, sizes and offsets are different types: a mix-up does not compile. The difference of two offsets is a size.
#pragma once

#include <compare>
#include <cstdint>

namespace stampede {

// A number of bytes.
struct Size {
  std::uint64_t bytes = 0;
  constexpr auto operator<=>(const Size&) const = default;
  constexpr Size& operator+=(Size other) {
    bytes += other.bytes;
    return *this;
  }
  constexpr Size& operator-=(Size other) {
    bytes -= other.bytes;
    return *this;
  }
  friend constexpr Size operator+(Size a, Size b) { return {a.bytes + b.bytes}; }
  friend constexpr Size operator-(Size a, Size b) { return {a.bytes - b.bytes}; }
  friend constexpr Size operator*(Size a, std::uint64_t n) { return {a.bytes * n}; }
};

// A byte position on a disk or in a file.
struct Offset {
  std::uint64_t bytes = 0;
  constexpr auto operator<=>(const Offset&) const = default;
  constexpr Offset& operator+=(Size size) {
    bytes += size.bytes;
    return *this;
  }
  friend constexpr Offset operator+(Offset a, Size b) { return {a.bytes + b.bytes}; }
  friend constexpr Offset operator-(Offset a, Size b) { return {a.bytes - b.bytes}; }
  friend constexpr Size operator-(Offset a, Offset b) { return {a.bytes - b.bytes}; }
};

// A position in a sequence of Tag: the third span, the seventh segment.
template <class Tag>
struct Index {
  std::uint32_t value = 0;
  constexpr auto operator<=>(const Index&) const = default;
  constexpr Index& operator++() {
    ++value;
    return *this;
  }
};

inline constexpr Size operator""_B(unsigned long long n) { return {n}; }
inline constexpr Size operator""_KiB(unsigned long long n) { return {n << 10}; }
inline constexpr Size operator""_MiB(unsigned long long n) { return {n << 20}; }
inline constexpr Size operator""_GiB(unsigned long long n) { return {n << 30}; }

constexpr std::uint64_t round_down(std::uint64_t value, std::uint64_t step) { return value - value % step; }
constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t step) { return round_down(value + step - 1, step); }

}  // namespace stampede

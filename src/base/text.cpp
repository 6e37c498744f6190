#include "src/base/text.h"

#include <algorithm>
#include <cstdint>

namespace stampede {

namespace {

// Length of the well-formed UTF-8 sequence of a printable character at the start of `text`; 0 if there is none.
std::size_t printable_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return lead >= 0x20 && lead != 0x7f ? 1 : 0;
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  std::uint32_t point = lead & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    point = point << 6 | (byte(i) & 0x3fU);
  }
  const bool overlong = (length == 3 && point < 0x800) || (length == 4 && point < 0x10000);
  const bool surrogate = point >= 0xd800 && point <= 0xdfff;
  return overlong || surrogate || point > 0x10ffff || point < 0xa0 ? 0 : length;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = printable_length(text);
    if (length == 0) out += '?';
    if (length != 0) out += text.substr(0, length);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

double unit_of(std::string_view name) {
  if (name.empty()) return 1;
  const std::size_t power = std::string_view("KMGTP").find(name.front()) + 1;
  double unit = 1;
  const double base = name.ends_with('i') ? 1024 : 1000;
  if (power == 0 || name.size() != (name.ends_with('i') ? 2U : 1U)) return 0;
  for (std::size_t i = 0; i < power; ++i) unit *= base;
  return unit;
}

}  // namespace stampede

// Text that others have written: disks, and nodes in their receipts.
#pragma once

#include <string>
#include <string_view>

namespace stampede {

// Of ASCII's letters; anything else is left as it is.
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// Valid UTF-8 without control characters, so that it can go to terminals and into JSON: what is neither becomes '?'.
std::string printable(std::string_view text);

// "T": 10^12, "Ti": 2^40, "": 1; 0 for what is no unit.
double unit_of(std::string_view name);

}  // namespace stampede

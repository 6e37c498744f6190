// Text that others have written: disks, and nodes in their receipts.
#pragma once

#include <string>
#include <string_view>

namespace stampede {

// Valid UTF-8 without control characters, so that it can go to terminals and into JSON: what is neither becomes '?'.
std::string printable(std::string_view text);

}  // namespace stampede

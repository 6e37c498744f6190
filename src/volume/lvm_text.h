// LVM's metadata text as a tree; see lvm.h.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "src/base/error.h"

namespace stampede::volume {

struct LvmSection {
  using Value = std::variant<std::uint64_t, std::string>;
  std::map<std::string, std::vector<Value>, std::less<>> values;  // one, or a list's
  std::map<std::string, LvmSection, std::less<>> sections;

  // Errors: cannot_customise where there is none, or it is another kind of value.
  Result<std::uint64_t> number(std::string_view name) const;
  Result<std::string> text(std::string_view name) const;
  Result<const LvmSection*> section(std::string_view name) const;
};

// Memory: some times the text's. Error: cannot_customise.
Result<LvmSection> parse_lvm_text(std::string_view text);

}  // namespace stampede::volume

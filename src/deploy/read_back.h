// The last word on a disk before it may boot: what it has to return, asked for in disk order and in parts, so that no list
// of all of it is needed. Data wholly; what must read as zeros wholly or by the ends of each extent (they were made by a
// method that was seen to work on this disk).
//
// Memory: kReadBackPart ranges.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "src/deploy/plan.h"

namespace stampede::deploy {

inline constexpr std::size_t kReadBackPart = 16384;

enum class Verify : std::uint8_t {
  data,  // zeros by samples
  full,
};
std::string_view name_of(Verify verify);

// What the disk must return, a part at a time.
class Expectations {
 public:
  // `plan` and `zeros` (in disk order, apart from each other) outlive it.
  Expectations(const Plan& plan, const std::vector<chunker::Extent>& zeros, Verify verify)
      : plan_(plan), zeros_(zeros), verify_(verify) {}
  // The next ranges, in disk order; none at the end.
  std::vector<disk::Expected> next(std::size_t most = kReadBackPart);

 private:
  void add_zeros(const chunker::Extent& extent, std::vector<disk::Expected>& out) const;

  const Plan& plan_;
  const std::vector<chunker::Extent>& zeros_;
  const Verify verify_;
  std::size_t place_ = 0;
  std::size_t zero_ = 0;
};

// Compares all of it. `progress` as for Target::compare. Errors: readback_mismatch, which names the first byte of the first
// range that is wrong; Target::compare's.
Result<> read_back(disk::Target& target, Expectations expectations, const std::function<bool(Size done)>& progress);

}  // namespace stampede::deploy

#include "src/base/range.h"

#include <algorithm>

namespace stampede {

std::vector<Range> merged(std::vector<Range> ranges) {
  std::ranges::sort(ranges, {}, &Range::at);
  std::vector<Range> out;
  for (const Range& range : ranges) {
    if (range.length.bytes == 0) continue;
    if (out.empty() || range.at > out.back().end())
      out.push_back(range);
    else
      out.back().length = std::max(out.back().end(), range.end()) - out.back().at;
  }
  return out;
}

std::vector<Range> without(const std::vector<Range>& ranges, const std::vector<Range>& others) {
  std::vector<Range> out;
  auto other = others.begin();
  for (const Range& range : ranges) {
    while (other != others.end() && other->end() <= range.at) ++other;
    Offset at = range.at;
    for (auto next = other; next != others.end() && next->at < range.end(); ++next) {
      if (next->at > at) out.push_back({at, next->at - at});
      at = std::max(at, next->end());
    }
    if (at < range.end()) out.push_back({at, range.end() - at});
  }
  return out;
}

}  // namespace stampede

#include "src/deploy/read_back.h"

#include <algorithm>

namespace stampede::deploy {

namespace {
constexpr Size kSample = 64_KiB;
}

std::string_view name_of(Verify verify) { return verify == Verify::full ? "full" : "data"; }

std::vector<disk::Expected> Expectations::next(std::size_t most) {
  std::vector<disk::Expected> out;
  while (out.size() < most && (place_ < plan_.places().size() || zero_ < zeros_.size())) {
    if (zero_ == zeros_.size() || (place_ < plan_.places().size() && plan_.expected(place_).at < zeros_[zero_].offset))
      out.push_back(plan_.expected(place_++));
    else
      add_zeros(zeros_[zero_++], out);
  }
  return out;
}

void Expectations::add_zeros(const chunker::Extent& extent, std::vector<disk::Expected>& out) const {
  if (verify_ == Verify::full || extent.length <= kSample + kSample) return out.push_back({extent.offset, extent.length});
  out.push_back({extent.offset, kSample});
  out.push_back({extent.offset + (extent.length - kSample), kSample});
}

Result<> read_back(disk::Target& target, Expectations expectations, const std::function<bool(Size done)>& progress) {
  Size before;
  for (auto part = expectations.next(); !part.empty(); part = expectations.next()) {
    STAMPEDE_TRY(const auto right, target.compare(part, [&](Size done) { return !progress || progress(before + done); }));
    for (const auto& range : part) before += range.length;
    const auto wrong = std::ranges::find(right, false);
    if (wrong == right.end()) continue;
    const auto& range = part[static_cast<std::size_t>(wrong - right.begin())];
    return fail(Code::readback_mismatch, "{} does not return what was written at byte {} ({} bytes); do not trust this disk",
                target.identity().path, range.at.bytes, range.length.bytes);
  }
  return {};
}

}  // namespace stampede::deploy

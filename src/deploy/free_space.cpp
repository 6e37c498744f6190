#include "src/deploy/free_space.h"

#include <algorithm>
#include <array>

namespace stampede::deploy {

namespace {
constexpr std::array<std::string_view, 3> kNames{"leave", "discard", "zero"};
}

std::string_view name_of(Unspecified unspecified) { return kNames[static_cast<std::size_t>(unspecified)]; }

std::optional<Unspecified> unspecified_named(std::string_view name) {
  const auto found = std::ranges::find(kNames, name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Unspecified>(found - kNames.begin());
}

std::vector<chunker::Extent> unspecified_extents(const chunker::Manifest& manifest) {
  std::vector<chunker::Extent> out;
  for (const auto& segment : manifest.segments) {
    Offset at = segment.offset;
    for (const auto& record : segment.records) {
      if (record.kind == chunker::RecordKind::unspecified)
        out.push_back({at, record.length, chunker::ExtentKind::unspecified});
      at += record.length;
    }
  }
  return out;
}

std::vector<chunker::Extent> beyond(Size image, Size disk) {
  const Offset from{round_up(image.bytes, chunker::kBlock.bytes)};
  if (from.bytes >= disk.bytes) return {};
  return {{from, disk - Size{from.bytes}, chunker::ExtentKind::unspecified}};
}

}  // namespace stampede::deploy

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

std::vector<chunker::Extent> without_blocks(const std::vector<chunker::Extent>& extents,
                                            const std::vector<std::uint64_t>& numbers) {
  std::vector<chunker::Extent> out;
  auto next = numbers.begin();
  for (chunker::Extent rest : extents) {
    const Offset end = rest.offset + rest.length;
    for (next = std::lower_bound(next, numbers.end(), rest.offset.bytes / chunker::kBlock.bytes);
         next != numbers.end() && *next * chunker::kBlock.bytes < end.bytes; ++next) {
      const Offset at{*next * chunker::kBlock.bytes};
      if (at > rest.offset) out.push_back({rest.offset, at - rest.offset, rest.kind});
      rest.offset = std::min(at + chunker::kBlock, end);
    }
    rest.length = end - rest.offset;
    if (rest.length > Size{}) out.push_back(rest);
  }
  return out;
}

}  // namespace stampede::deploy

#include "src/disk/lvm_label.h"

#include <array>

namespace stampede::disk {

namespace {

constexpr std::size_t kSector = 512, kSectors = 4, kText = 4096;
constexpr std::size_t kMostAreas = 16;

// The offset of the first metadata area, by the label's sector.
std::optional<Offset> metadata_area(ByteView sector) {
  if (as_text(sector.first(8)) != "LABELONE" || as_text(sector.subspan(24, 8)) != "LVM2 001") return std::nullopt;
  const std::uint32_t at = load_le<std::uint32_t>(sector.subspan(20));
  if (at > sector.size()) return std::nullopt;
  ByteReader in(sector.subspan(at));
  in.view(32 + 8);
  for (std::size_t areas = 0; areas < kMostAreas && in.ok(); ++areas) {
    const std::uint64_t offset = in.u64();
    const std::uint64_t size = in.u64();
    if (offset == 0 && size == 0) break;
  }
  const Offset found{in.u64()};
  return in.ok() && found.bytes != 0 ? std::optional(found) : std::nullopt;
}

std::optional<Offset> metadata_text(const ReadAt& read, Offset area) {
  std::array<std::byte, kSector> header{};
  if (area.bytes > ~0ULL / 4 || !read(area, header)) return std::nullopt;
  if (as_text(ByteView(header).subspan(4, 16)) != " LVM2 x[5A%r0N*>") return std::nullopt;
  const std::uint64_t offset = load_le<std::uint64_t>(ByteView(header).subspan(40));
  if (offset == 0 || offset > ~0ULL / 4) return std::nullopt;
  return area + Size{offset};
}

std::optional<VolumeGroup> parse(std::string_view text) {
  constexpr std::string_view kId = "id = \"";
  constexpr std::size_t kIdSize = 32 + 6;
  const std::size_t name_end = text.find(' ');
  const std::size_t id = text.find(kId);
  if (name_end == text.npos || id == text.npos || text.size() - id < kId.size() + kIdSize) return std::nullopt;
  VolumeGroup group{std::string(text.substr(0, name_end)), std::string(text.substr(id + kId.size(), kIdSize))};
  std::erase(group.id, '-');
  return group.id.size() == 32 ? std::optional(std::move(group)) : std::nullopt;
}

}  // namespace

std::optional<VolumeGroup> find_volume_group(const ReadAt& read) {
  std::array<std::byte, kSectors * kSector> labels{};
  if (!read({}, labels)) return std::nullopt;
  for (std::size_t i = 0; i < kSectors; ++i) {
    const auto area = metadata_area(ByteView(labels).subspan(i * kSector, kSector));
    const auto at = area ? metadata_text(read, *area) : std::nullopt;
    Bytes text(kText);
    if (at && read(*at, text)) return parse(as_text(text));
  }
  return std::nullopt;
}

}  // namespace stampede::disk

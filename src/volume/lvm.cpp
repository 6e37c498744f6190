#include "src/volume/lvm.h"

#include <algorithm>
#include <array>
#include <set>

#include "src/volume/lvm_text.h"

namespace stampede::volume {

namespace {

constexpr std::size_t kSector = 512, kLabels = 4, kMostAreas = 16;
constexpr Size kMostText = 4_MiB;

std::unexpected<Error> not_understood(std::string_view what) {
  return fail(Code::cannot_customise, "its {} is not understood", what);
}

std::uint32_t crc_of(ByteView bytes) {
  std::uint32_t crc = 0xf597a6cf;
  for (const std::byte byte : bytes) {
    crc ^= static_cast<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0xedb88320U : 0U);
  }
  return crc;
}

struct Label {
  std::string id;
  Offset area;  // of metadata, the first
};

Result<Label> read_label(BlockAccess& blocks, Offset at) {
  std::array<std::byte, kLabels * kSector> sectors{};
  STAMPEDE_CHECK(blocks.read(at, sectors));
  for (std::size_t i = 0; i < kLabels; ++i) {
    const ByteView sector = ByteView(sectors).subspan(i * kSector, kSector);
    if (as_text(sector.first(8)) != "LABELONE" || as_text(sector.subspan(24, 8)) != "LVM2 001") continue;
    const auto header = load_le<std::uint32_t>(sector.subspan(20));
    if (header > kSector) return not_understood("label");
    ByteReader in(sector.subspan(header));
    Label out{std::string(as_text(in.view(32))), {}};
    in.view(8);
    for (std::size_t areas = 0; in.ok() && areas < kMostAreas; ++areas) {
      const std::uint64_t offset = in.u64(), size = in.u64();
      if (offset == 0 && size == 0) break;
    }
    out.area = {in.u64()};
    if (!in.ok() || out.area.bytes == 0) return not_understood("label");
    return out;
  }
  return not_understood("label");
}

Result<std::string> read_text(BlockAccess& blocks, Offset at, Offset area_at, Size length) {
  if (area_at.bytes > length.bytes || length.bytes - area_at.bytes < kSector) return not_understood("label");
  const Offset area = at + Size{area_at.bytes};
  std::array<std::byte, kSector> header{};
  STAMPEDE_CHECK(blocks.read(area, header));
  ByteReader in(ByteView(header).subspan(4));
  if (as_text(in.view(16)) != " LVM2 x[5A%r0N*>" || in.u32() != 1) return not_understood("metadata area");
  in.view(8);
  const std::uint64_t room = in.u64(), offset = in.u64(), size = in.u64();
  const std::uint32_t crc = in.u32(), flags = in.u32();
  if (room > length.bytes - area_at.bytes || offset < kSector || offset >= room || size == 0 || size > kMostText.bytes ||
      size > room - kSector || (flags & 1U) != 0)
    return not_understood("metadata area");
  Bytes text(size);
  const std::size_t first = std::min<std::uint64_t>(size, room - offset);
  STAMPEDE_CHECK(blocks.read(area + Size{offset}, MutableBytes(text).first(first)));
  STAMPEDE_CHECK(blocks.read(area + Size{kSector}, MutableBytes(text).subspan(first)));
  if (crc_of(text) != crc) return fail(Code::cannot_customise, "its metadata is damaged");
  const std::string_view all = as_text(text);
  return std::string(all.substr(0, all.find('\0')));
}

struct Volume {
  std::string name;
  std::uint64_t start = 0, count = 0;  // sectors; extents
};

Result<Volume> find_volume(const LvmSection& volumes, std::string_view id) {
  for (const auto& [name, section] : volumes.sections) {
    STAMPEDE_TRY(std::string own, section.text("id"));
    std::erase(own, '-');
    if (own != id) continue;
    Volume out{name};
    STAMPEDE_TRY(out.start, section.number("pe_start"));
    STAMPEDE_TRY(out.count, section.number("pe_count"));
    return out;
  }
  return fail(Code::cannot_customise, "its metadata does not name it");
}

// Extents of one physical volume that are in use.
struct Run {
  std::uint64_t first = 0, end = 0;
};

class Usage {
 public:
  Usage(const LvmSection& group, const LvmSection& volumes, std::string name) : name_(std::move(name)) {
    for (const auto& [volume, section] : volumes.sections) physical_.insert(volume);
    if (const auto logical = group.sections.find("logical_volumes"); logical != group.sections.end())
      logical_ = &logical->second;
  }

  Result<std::vector<Run>> runs() {
    if (logical_ != nullptr)
      for (const auto& [volume, section] : logical_->sections)
        for (const auto& [name, segment] : section.sections) STAMPEDE_CHECK(add(segment));
    std::ranges::sort(runs_, {}, &Run::first);
    return std::move(runs_);
  }

 private:
  Result<> add(const LvmSection& segment) {
    for (const auto& [name, list] : segment.values) {
      if (name == "stripes") {
        STAMPEDE_CHECK(add_stripes(segment, list));
        continue;
      }
      // A way to say where it is that is not known here.
      for (const auto& value : list)
        if (const auto* text = std::get_if<std::string>(&value); text != nullptr && physical_.contains(*text))
          return not_understood(fmt::format("segment with '{}'", name));
    }
    return {};
  }
  Result<> add_stripes(const LvmSection& segment, const std::vector<LvmSection::Value>& list) {
    STAMPEDE_TRY(const std::uint64_t extents, segment.number("extent_count"));
    const std::size_t stripes = list.size() / 2;
    if (list.size() % 2 != 0 || stripes == 0 || extents % stripes != 0) return not_understood("stripes");
    for (std::size_t i = 0; i < list.size(); i += 2) {
      const auto* where = std::get_if<std::string>(&list[i]);
      const auto* first = std::get_if<std::uint64_t>(&list[i + 1]);
      if (where == nullptr || first == nullptr) return not_understood("stripes");
      if (!physical_.contains(*where) && !logical_->sections.contains(*where)) return not_understood("stripes");
      if (*where != name_) continue;
      if (*first > UINT64_MAX - extents / stripes) return not_understood("stripes");
      runs_.push_back({*first, *first + extents / stripes});
    }
    return {};
  }

  const std::string name_;
  std::set<std::string> physical_;
  const LvmSection* logical_ = nullptr;
  std::vector<Run> runs_;
};

}  // namespace

Result<std::vector<Range>> free_extents_of(std::string_view text, std::string_view id, Offset at, Size length) {
  STAMPEDE_TRY(const LvmSection top, parse_lvm_text(text));
  if (top.sections.size() != 1) return not_understood("metadata");
  const LvmSection& group = top.sections.begin()->second;
  STAMPEDE_TRY(const std::uint64_t sectors, group.number("extent_size"));
  STAMPEDE_TRY(const LvmSection* volumes, group.section("physical_volumes"));
  STAMPEDE_TRY(const Volume volume, find_volume(*volumes, id));
  const std::uint64_t room = length.bytes / kSector;
  if (sectors == 0 || volume.start > room || volume.count > (room - volume.start) / sectors) return not_understood("size");
  STAMPEDE_TRY(const auto used, Usage(group, *volumes, volume.name).runs());
  std::vector<Range> out;
  std::uint64_t end = 0;  // of what is in use
  const auto add_free = [&](std::uint64_t until) {
    if (until > end)
      out.push_back({at + Size{(volume.start + end * sectors) * kSector}, Size{(until - end) * sectors * kSector}});
  };
  for (const Run& run : used) {
    if (run.first < end || run.end > volume.count) return not_understood("segments");
    add_free(run.first);
    end = run.end;
  }
  add_free(volume.count);
  return out;
}

Result<std::vector<Range>> free_extents(BlockAccess& blocks, Offset at, Size length) {
  if (length.bytes < kLabels * kSector) return not_understood("size");
  STAMPEDE_TRY(const Label label, read_label(blocks, at));
  STAMPEDE_TRY(const std::string text, read_text(blocks, at, label.area, length));
  return free_extents_of(text, label.id, at, length);
}

}  // namespace stampede::volume

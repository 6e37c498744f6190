#include "src/formats/format.h"

#include <algorithm>
#include <array>

#include "src/base/text.h"

namespace stampede::formats {

namespace {

using namespace std::string_view_literals;
using unpack::Packing;

constexpr std::array<std::pair<std::string_view, Kind>, 6> kKinds{{{"raw", Kind::raw},
                                                                   {"qcow2", Kind::qcow2},
                                                                   {"vmdk", Kind::vmdk},
                                                                   {"vhdx", Kind::vhdx},
                                                                   {"vdi", Kind::vdi},
                                                                   {"partclone", Kind::partclone}}};
constexpr std::array<std::pair<std::string_view, Packing>, 6> kPackings{{{"gz", Packing::gzip},
                                                                         {"xz", Packing::xz},
                                                                         {"zst", Packing::zstd},
                                                                         {"gzip", Packing::gzip},
                                                                         {"zstd", Packing::zstd},
                                                                         {"", Packing::none}}};

struct Magic {
  std::size_t at;
  std::string_view bytes, name;
};
constexpr Magic kMagics[] = {{0, "QFI\xfb"sv, "qcow2"},
                             {0, "KDMV"sv, "vmdk"},
                             {0, "COWD"sv, "vmdk"},
                             {0, "# Disk DescriptorFile"sv, "vmdk"},
                             {0, "vhdxfile"sv, "vhdx"},
                             {64, "\x7f\x10\xda\xbe"sv, "vdi"},
                             {0, "conectix"sv, "vpc"},
                             {0, "partclone-image"sv, "partclone"},
                             {0, "\x1f\x8b\x08"sv, "gzip"},
                             {0, "\xfd\x37zXZ\0"sv, "xz"},
                             {0, "\x28\xb5\x2f\xfd"sv, "zstd"},
                             {0, "BZh"sv, "bzip2"},
                             {0, "\x04\x22\x4d\x18"sv, "lz4"},
                             {8, "\xf9\x9f\x12\x7b\x9c\x4d\x82\x96"sv, "casync"}};

std::string_view packing_name(Packing packing) {
  return std::ranges::find(kPackings, packing, &std::pair<std::string_view, Packing>::second)->first;
}

bool packs(Kind kind) { return kind == Kind::raw || kind == Kind::partclone; }

// What is before the last dot, and after it.
std::pair<std::string_view, std::string_view> split(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return {name, {}};
  return {name.substr(0, dot), name.substr(dot + 1)};
}

std::optional<Kind> kind_of_ending(std::string_view ending) {
  if (ending == "pcl" || ending == "partclone" || ending.ends_with("-ptcl-img")) return Kind::partclone;
  const auto* const found = std::ranges::find(kKinds, ending, &std::pair<std::string_view, Kind>::first);
  if (found == kKinds.end()) return std::nullopt;
  return found->second;
}

}  // namespace

std::string name_of(Format format) {
  std::string name(std::ranges::find(kKinds, format.kind, &std::pair<std::string_view, Kind>::second)->first);
  if (format.packing != Packing::none) name.append(".").append(packing_name(format.packing));
  return name;
}

std::string format_names() {
  std::string names;
  for (const auto& [name, kind] : kKinds) {
    names.append(names.empty() ? "" : ", ").append(name);
    if (packs(kind))
      for (const std::string_view packing : {"gz", "xz", "zst"}) names.append(fmt::format(", {}.{}", name, packing));
  }
  return names;
}

Result<Format> parse_format(std::string_view name) {
  const auto unknown = [&] { return fail(Code::usage, "no format '{}'; there are {}", printable(name), format_names()); };
  auto [kind_name, packing] = split(name);
  const auto is_packing = [](std::string_view word) {
    return !word.empty() &&
           std::ranges::find(kPackings, word, &std::pair<std::string_view, Packing>::first) != kPackings.end();
  };
  if (packing.empty() && is_packing(kind_name)) packing = std::exchange(kind_name, "raw");
  const auto* const kind = std::ranges::find(kKinds, kind_name, &std::pair<std::string_view, Kind>::first);
  const auto* const found = std::ranges::find(kPackings, packing, &std::pair<std::string_view, Packing>::first);
  if (kind == kKinds.end() || found == kPackings.end() || name.ends_with('.')) return unknown();
  if (found->second != Packing::none && !packs(kind->second)) return unknown();
  return Format{kind->second, found->second};
}

Result<Format> format_of(std::string_view file_name) {
  std::string name(file_name.substr(file_name.rfind('/') + 1));
  std::ranges::transform(name, name.begin(), lower);
  auto [stem, ending] = split(name);
  Format format;
  if (ending == "gz" || ending == "xz" || ending == "zst" || ending == "zstd") {
    format.packing = std::ranges::find(kPackings, ending, &std::pair<std::string_view, Packing>::first)->second;
    std::tie(stem, ending) = split(stem);
  }
  format.kind = kind_of_ending(ending).value_or(Kind::raw);
  if (format.packing != Packing::none && !packs(format.kind))
    return fail(Code::usage, "{} is {} inside {}: unpack it first", file_name, name_of({format.kind, Packing::none}),
                packing_name(format.packing));
  return format;
}

std::optional<std::string_view> magic_of(ByteView start) {
  for (const Magic& magic : kMagics)
    if (start.size() >= magic.at && as_text(start.subspan(magic.at)).starts_with(magic.bytes)) return magic.name;
  return std::nullopt;
}

Result<> contradicts(ByteView start, Kind kind, std::string_view file) {
  const auto magic = magic_of(start);
  const std::string name = name_of({kind, Packing::none});
  if (kind != Kind::raw) {
    if (magic == name) return {};
    return fail(Code::usage, "{} is no {} file{}", file, name,
                magic ? fmt::format(": it begins as {} does", *magic) : ": it does not begin as one");
  }
  if (!magic) return {};
  const auto known = parse_format(*magic);
  const std::string cure =
      known ? fmt::format("--format {}", name_of(*known)) : std::string("an unpacked or converted file");
  return fail(Code::usage,
              "{} begins as {} does, and would be packaged as it is, as a raw disk: say {}, or --format raw if "
              "that is meant",
              file, *magic, cure);
}

}  // namespace stampede::formats

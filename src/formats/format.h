// In what form a disk image comes. Declared, or taken from the end of the file's name; never from its content, which a guest
// may have written. Content only contradicts: see contradicts().
//
//   raw   raw.gz   raw.xz   raw.zst   qcow2   vmdk   vhdx   vdi   partclone   partclone.gz   partclone.xz   partclone.zst
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/unpack/stream.h"

namespace stampede::formats {

enum class Kind : std::uint8_t { raw, qcow2, vmdk, vhdx, vdi, partclone };

struct Format {
  Kind kind = Kind::raw;
  unpack::Packing packing = unpack::Packing::none;
  bool operator==(const Format&) const = default;
};

// "qcow2", "raw.zst"; `zst`, `gz` and `xz` alone mean a raw disk in it. Error: usage, with the names that there are.
Result<Format> parse_format(std::string_view name);
std::string name_of(Format format);
// All names, with commas.
std::string format_names();

// By the end of the name, in any case of letters: raw where it says nothing. Clonezilla's "sda1.ext4-ptcl-img.gz" too.
// Error: usage, where it is packed and what is in it is not raw or partclone.
Result<Format> format_of(std::string_view file_name);

// How much of a file's start contradicts() wants.
inline constexpr std::size_t kMagicBytes = 4096;
// What a file that begins so is by its magic: "qcow2", "zstd", … Nothing where nothing known begins so.
std::optional<std::string_view> magic_of(ByteView start);
// Raw disks do not begin like an image of another kind, and one of a kind begins as that kind does: else it is most likely a
// mistake. Error: usage, with what to say.
Result<> contradicts(ByteView start, Kind kind, std::string_view file);

}  // namespace stampede::formats

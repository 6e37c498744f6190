#include "src/formats/image_header.h"

#include <algorithm>
#include <bit>

#include "src/base/text.h"

namespace stampede::formats {

namespace {

constexpr std::size_t kQcow2Header = 104;
constexpr std::size_t kVmdkHeader = 512, kSector = 512;
constexpr std::uint64_t kMostDescriptor = 60 * 1024;

template <std::unsigned_integral T>
T big_endian(ByteView bytes, std::size_t at) {
  return std::byteswap(load_le<T>(bytes.subspan(at)));
}

Result<> check_qcow2(ByteView header, std::string_view file) {
  const auto refuse = [&](std::string_view why) { return fail(Code::usage, "{} cannot be imported: {}", file, why); };
  if (header.size() < 72) return refuse("it ends within its header");
  const auto version = big_endian<std::uint32_t>(header, 4);
  if (version != 2 && version != 3) return refuse(fmt::format("qcow2 version {} is not known", version));
  if (big_endian<std::uint64_t>(header, 8) != 0 || big_endian<std::uint32_t>(header, 16) != 0)
    return refuse("it has a backing file; flatten it with qemu-img convert on the machine that has both");
  if (big_endian<std::uint32_t>(header, 32) != 0) return refuse("it is encrypted");
  if (version == 2) return {};
  if (header.size() < kQcow2Header) return refuse("it ends within its header");
  // Bits of features without which it cannot be read: 0 not closed, 1 corrupt, 2 external data, 3 compression, 4 small L2
  // entries.
  const auto features = big_endian<std::uint64_t>(header, 72);
  if ((features & 2) != 0) return refuse("it is marked as corrupt; see qemu-img check -r");
  if ((features & 4) != 0) return refuse("its data is in another file; merge them with qemu-img convert");
  if ((features & ~std::uint64_t{0x1f}) != 0) return refuse("it has features that are not known");
  return {};
}

// "parentCID=ffffffff" → "ffffffff"; lower case, without quotes and blanks. Empty where it is not there.
std::string value_of(std::string_view descriptor, std::string_view key) {
  std::string value;
  for (std::size_t at = 0; at < descriptor.size();) {
    const std::size_t end = std::min(descriptor.find('\n', at), descriptor.size());
    std::string line;
    for (const char c : descriptor.substr(at, end - at))
      if (c != ' ' && c != '\t' && c != '"' && c != '\r') line += lower(c);
    if (line.starts_with(key) && line.size() > key.size() && line[key.size()] == '=') value = line.substr(key.size() + 1);
    at = end + 1;
  }
  return value;
}

Result<> check_vmdk_descriptor(std::string_view text, std::string_view file) {
  const auto refuse = [&](std::string_view why) { return fail(Code::usage, "{} cannot be imported: {}", file, why); };
  const std::string_view descriptor = text.substr(0, text.find('\0'));
  const std::string type = value_of(descriptor, "createtype"), parent = value_of(descriptor, "parentcid");
  if (type != "monolithicsparse" && type != "streamoptimized")
    return refuse(
        fmt::format("it is a vmdk of type '{}', which may have its data in other files; convert it with qemu-img "
                    "convert on the machine that has them",
                    printable(type)));
  if (parent != "ffffffff" || !value_of(descriptor, "parentfilenamehint").empty())
    return refuse("it has a parent; flatten it with qemu-img convert on the machine that has both");
  return {};
}

Result<> check_vmdk(ByteView header, const ReadFile& read, std::string_view file) {
  if (!as_text(header).starts_with("KDMV"))
    return fail(Code::usage,
                "{} cannot be imported: a vmdk that is only a description of other files, or of an old kind; "
                "convert it with qemu-img convert on the machine that has them",
                file);
  if (header.size() < kVmdkHeader) return fail(Code::usage, "{} cannot be imported: it ends within its header", file);
  const auto capacity = load_le<std::uint64_t>(header.subspan(12));
  const auto at = load_le<std::uint64_t>(header.subspan(28)), sectors = load_le<std::uint64_t>(header.subspan(36));
  // Without a size of its own it is but a place for a description.
  if (capacity == 0 || at == 0 || sectors == 0 || at > UINT64_MAX / kSector / 2 || sectors > kMostDescriptor / kSector)
    return fail(Code::usage, "{} cannot be imported: its header is damaged or of an unusual kind", file);
  STAMPEDE_TRY(const Bytes descriptor, read({at * kSector}, static_cast<std::size_t>(sectors * kSector)));
  return check_vmdk_descriptor(as_text(descriptor), file);
}

}  // namespace

Result<> check_image_header(Kind kind, const ReadFile& read, std::string_view file) {
  STAMPEDE_TRY(const Bytes start, read({}, kMagicBytes));
  STAMPEDE_CHECK(contradicts(start, kind, file));
  if (kind == Kind::qcow2) return check_qcow2(start, file);
  if (kind == Kind::vmdk) return check_vmdk(start, read, file);
  return {};  // qemu reads neither parents of vhdx nor of vdi, and says so
}

}  // namespace stampede::formats

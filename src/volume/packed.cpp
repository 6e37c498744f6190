#include "src/volume/packed.h"

#include <algorithm>
#include <optional>

#include "src/unpack/stream.h"

namespace stampede::volume {

namespace {

using namespace std::string_view_literals;

constexpr std::uint64_t kMostUnpacked = 4ULL << 30;
constexpr std::string_view kCompressed[] = {
    "\x1f\x8b"sv,         "BZh"sv,     "\xfd\x37zXZ\0"sv, "\x28\xb5\x2f\xfd"sv, "\x02\x21\x4c\x18"sv,
    "\x04\x22\x4d\x18"sv, "\x89LZO"sv, "\x5d\0\0"sv};
constexpr std::string_view kCpio[] = {"070701"sv, "070702"sv};
constexpr std::size_t kCpioHeader = 110;

bool starts_with_one(ByteView file, std::span<const std::string_view> magics) {
  return std::ranges::any_of(magics, [&](std::string_view magic) { return as_text(file).starts_with(magic); });
}

std::optional<std::uint64_t> hex(std::string_view digits) {
  std::uint64_t out = 0;
  for (const char c : digits) {
    const std::size_t value = "0123456789abcdef0123456789ABCDEF"sv.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    out = out * 16 + value % 16;
  }
  return out;
}

// The length of a cpio archive (the "newc" format) and of the zeros behind it; as far as it is sound.
std::size_t cpio_length(ByteView file) {
  std::size_t at = 0;
  while (starts_with_one(file.subspan(at), kCpio) && file.size() - at >= kCpioHeader) {
    const std::string_view header = as_text(file.subspan(at, kCpioHeader));
    const auto size = hex(header.substr(54, 8)), name = hex(header.substr(94, 8));
    if (!size || !name) return at;
    const std::uint64_t data = round_up(at + kCpioHeader + *name, 4);
    const bool last = as_text(file.subspan(at + kCpioHeader)).starts_with("TRAILER!!!"sv);
    at = std::min<std::uint64_t>(round_up(data + *size, 4), file.size());
    if (last) break;
  }
  while (at < file.size() && file[at] == std::byte{0}) ++at;
  return at;
}

Result<bool> compressed_mentions(ByteView file, const NewIds& ids) {
  std::uint64_t all = 0;
  bool found = false;
  const auto look = [&](ByteView part) {
    all += part.size();
    found = mentions(part, ids);
    return !found && all <= kMostUnpacked;
  };
  // A mention may lie across two parts.
  STAMPEDE_CHECK(unpack::unpack_any(file, look, kLongestId + 1));
  if (!found && all > kMostUnpacked) return fail(Code::read_failed, "it holds more than {}", human_size(kMostUnpacked));
  return found;
}

}  // namespace

bool is_packed(ByteView file) { return starts_with_one(file, kCompressed) || starts_with_one(file, kCpio); }

Result<bool> packed_mentions(ByteView file, const NewIds& ids) {
  if (mentions(file, ids)) return true;
  while (!file.empty()) {
    if (starts_with_one(file, kCompressed)) return compressed_mentions(file, ids);
    const std::size_t archive = cpio_length(file);
    if (archive == 0) return false;
    file = file.subspan(archive);
  }
  return false;
}

}  // namespace stampede::volume

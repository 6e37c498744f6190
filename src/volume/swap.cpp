#include "src/volume/swap.h"

#include <array>

namespace stampede::volume {

namespace {
constexpr Size kUuidAt{1036};
constexpr std::string_view kMagic = "SWAPSPACE2";
}  // namespace

Result<> set_swap_uuid(BlockAccess& blocks, Offset at, const std::string& uuid) {
  bool found = false;
  for (const Size page : {4_KiB, 8_KiB, 16_KiB, 64_KiB}) {
    std::array<std::byte, kMagic.size()> magic{};
    if (found || at + page > Offset{blocks.size().bytes}) break;
    STAMPEDE_CHECK(blocks.read(at + page - Size{magic.size()}, magic));
    found = as_text(magic) == kMagic;
  }
  if (!found) return fail(Code::cannot_customise, "there is no swap space at byte {}", at.bytes);
  std::string digits = uuid;
  std::erase(digits, '-');
  const auto raw = from_hex(digits);
  if (!raw || raw->size() != 16) return fail(Code::internal, "'{}' is not a UUID", uuid);
  STAMPEDE_CHECK(blocks.write(at + kUuidAt, *raw));
  Bytes back(raw->size());
  STAMPEDE_CHECK(blocks.read(at + kUuidAt, back));
  if (back != *raw) return fail(Code::readback_mismatch, "the swap space's UUID does not come back as it was written");
  return {};
}

}  // namespace stampede::volume

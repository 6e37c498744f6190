#include "src/volume/swap.h"

#include <array>

namespace stampede::volume {

namespace {
constexpr Size kUuidAt{1036};
constexpr Size kHeaderAt = 1_KiB;
constexpr std::string_view kMagic = "SWAPSPACE2";

// How long its pages are.
Result<Size> page_of(BlockAccess& blocks, Offset at) {
  for (const Size page : {4_KiB, 8_KiB, 16_KiB, 64_KiB}) {
    std::array<std::byte, kMagic.size()> magic{};
    if (at + page > Offset{blocks.size().bytes}) break;
    STAMPEDE_CHECK(blocks.read(at + page - Size{magic.size()}, magic));
    if (as_text(magic) == kMagic) return page;
  }
  return fail(Code::cannot_customise, "there is no swap space at byte {}", at.bytes);
}

}  // namespace

Result<std::vector<Range>> swapped_out(BlockAccess& blocks, Offset at, Size length) {
  STAMPEDE_TRY(const Size page, page_of(blocks, at));
  std::array<std::byte, 12> header{};
  STAMPEDE_CHECK(blocks.read(at + kHeaderAt, header));
  ByteReader in(header);
  const std::uint32_t version = in.u32(), last = in.u32();
  if (version != 1) return fail(Code::cannot_customise, "swap space of version {} is not known", version);
  const Size pages = std::min(page * (std::uint64_t{last} + 1), length);
  if (pages <= page) return std::vector<Range>{};
  return std::vector<Range>{{at + page, pages - page}};
}

Result<> set_swap_uuid(BlockAccess& blocks, Offset at, const std::string& uuid) {
  STAMPEDE_CHECK(page_of(blocks, at));
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

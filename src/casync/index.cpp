#include "src/casync/index.h"

#include <algorithm>

namespace stampede::casync {
namespace {

constexpr std::uint64_t kIndexSize = 48, kIndexMark = 0x96824d9c7b129ff9;
constexpr std::uint64_t kTableSize = UINT64_MAX, kTableMark = 0xe75b9e112f17417d;
constexpr std::uint64_t kTailMark = 0x4b4f050e5549ecd1;
constexpr std::uint64_t kKnownFlags = 0xf000000000000000;

std::unexpected<Error> bad(std::string_view what) { return fail(Code::usage, "not a casync index of an image: {}", what); }

Result<Head> decode_head(ByteReader& in) {
  Head head;
  if (in.u64() != kIndexSize || in.u64() != kIndexMark) return bad("it does not begin as one");
  head.flags = in.u64();
  head.least = {in.u64()};
  head.mean = {in.u64()};
  head.greatest = {in.u64()};
  if (in.u64() != kTableSize || in.u64() != kTableMark) return bad("it has no table of chunks");
  if (!in.ok()) return bad("it is cut off");
  // The other flags say what is kept of each file of a tree.
  if ((head.flags & ~kKnownFlags) != 0) return bad("it is of a file tree");
  if (head.least < 1_B || head.least > head.mean || head.mean > head.greatest || head.greatest > kMaxChunk)
    return bad(
        fmt::format("chunks of {} to {} bytes, {} in the mean", head.least.bytes, head.greatest.bytes, head.mean.bytes));
  return head;
}

Result<> check_tail(ByteReader in, std::uint64_t chunks) {
  const std::uint64_t zero = in.u64(), too = in.u64(), index = in.u64(), table = in.u64(), mark = in.u64();
  if (zero != 0 || too != 0 || index != kIndexSize || mark != kTailMark) return bad("it does not end as one");
  if (table != index_size(chunks) - kIndexSize)
    return bad(fmt::format("its end tells of a table of {} bytes, and it is {}", table, index_size(chunks) - kIndexSize));
  return {};
}

Result<> check_ends(ByteReader in, std::size_t chunks, Size greatest) {
  std::uint64_t before = 0;
  for (std::size_t i = 0; i < chunks; ++i) {
    const std::uint64_t end = in.u64();
    in.view(sizeof(Id));
    if (end <= before) return bad(fmt::format("chunk {} ends at {}, and the one before at {}", i, end, before));
    if (end - before > greatest.bytes)
      return bad(fmt::format("chunk {} has {} bytes, more than the {} that it states", i, end - before, greatest.bytes));
    before = end;
  }
  return {};
}

}  // namespace

Result<Index> Index::decode(Bytes file) {
  if (file.size() > kMaxIndex.bytes) return bad(fmt::format("more than {} chunks", kMaxChunks));
  ByteReader in(file);
  STAMPEDE_TRY(const Head head, decode_head(in));
  if (in.left() < kTailSize || (in.left() - kTailSize) % kItemSize != 0) return bad("it is cut off");
  const std::size_t chunks = (in.left() - kTailSize) / kItemSize;
  STAMPEDE_CHECK(check_tail(ByteReader(ByteView(file).last(kTailSize)), chunks));
  STAMPEDE_CHECK(check_ends(in, chunks, head.greatest));
  return Index(std::move(file), head);
}

std::uint64_t Index::end_of(std::size_t number) const {
  return load_le<std::uint64_t>(ByteView(file_).subspan(kHeadSize + number * kItemSize));
}

Chunk Index::chunk(std::size_t number) const {
  Chunk chunk;
  chunk.offset = {number == 0 ? 0 : end_of(number - 1)};
  chunk.length = Offset{end_of(number)} - chunk.offset;
  std::ranges::copy(ByteView(file_).subspan(kHeadSize + number * kItemSize + 8, sizeof(Id)), chunk.id.begin());
  return chunk;
}

Size Index::image_size() const { return {count() == 0 ? 0 : end_of(count() - 1)}; }

void encode_head(ByteWriter& out, const Head& head) {
  out.u64(kIndexSize).u64(kIndexMark).u64(head.flags);
  out.u64(head.least.bytes).u64(head.mean.bytes).u64(head.greatest.bytes);
  out.u64(kTableSize).u64(kTableMark);
}

void encode_item(ByteWriter& out, Offset end, const Id& id) { out.u64(end.bytes).raw(id); }

void encode_tail(ByteWriter& out, std::uint64_t chunks) {
  out.u64(0).u64(0).u64(kIndexSize).u64(index_size(chunks) - kIndexSize).u64(kTailMark);
}

std::string store_path(const Id& id) {
  const std::string hex = to_hex(id);
  return hex.substr(0, 4) + "/" + hex + ".cacnk";
}

}  // namespace stampede::casync

#include "src/casync/index.h"

#include "tests/chunker/scratch.h"

namespace stampede::casync {
namespace {

using namespace stampede::testing;

// By Debian's casync 2+20201210: `casync make --digest=sha256` of 600,000 bytes, of which the second half are zeros.
constexpr std::string_view kByCasync =
    "3000000000000000f99f127b9c4d82960000000000000090004000000000000000000100000000000000040000000000ffffffffffffffff"
    "7d41172f119e5be757b100000000000081f5bf0632fae57a34b90fa5de889a786286dceaf5771f55c4aa7aee7184e4ecaf1c020000000000"
    "b979d695632f8561a62454b68437e519c305e970dd9badc95d335136f567f0fe428f02000000000030f66bebef5c6bd990ee8c183ae80f7c"
    "8921440b5aaec3662489bfa2611efdeb6ed00200000000004a5187ddeb2b2e479734f620785e846d9af84ad79d985347e4f5b79c82266e7a"
    "e41303000000000075060a8a8ca5962258b6085351c42d00d0d7766756d4dc6696a7d8924a27d928c271030000000000b96956d827c67741"
    "d0640048c3ba89ad72fa0a346d5a7b22add8376b23209f19a8fb030000000000ab5404f5cb60209d778a93bc48881de347f8839f42a34131"
    "e2e85fbd44749942a8fb07000000000091c302244e12268d24bb6775fa2245692463dd34a6ad6d0148496bb2ce89a2bcc027090000000000"
    "b3884bb2aa5ab8899bb94022446650591b3352b09f8aa026435fd33416f7905d000000000000000000000000000000003000000000000000"
    "a001000000000000d1ec49550e054f4b";

Bytes by_casync() { return *from_hex(kByCasync); }

// With the 8 bytes at `offset` set to `value`.
Bytes with(std::size_t offset, std::uint64_t value) {
  Bytes file = by_casync();
  store_le(MutableBytes(file).subspan(offset), value);
  return file;
}
constexpr std::size_t kTailAt = 424;

TEST(CasyncIndex, ReadsWhatCasyncWrites) {
  const auto index = Index::decode(by_casync());
  ASSERT_DONE(index);
  EXPECT_EQ(index->head(), (Head{0x9000000000000000, 16_KiB, 64_KiB, 256_KiB}));
  EXPECT_EQ(index->head().hash(), Hash::sha256);
  ASSERT_EQ(index->count(), 9U);
  EXPECT_EQ(index->image_size(), 600'000_B);
  EXPECT_EQ(index->chunk(0).length, 45399_B);
  EXPECT_EQ(index->chunk(7).offset.bytes, 261032U);
  EXPECT_EQ(store_path(index->chunk(8).id), "b388/b3884bb2aa5ab8899bb94022446650591b3352b09f8aa026435fd33416f7905d.cacnk");
}

TEST(CasyncIndex, WritesWhatCasyncWrites) {
  const auto index = Index::decode(by_casync());
  ASSERT_DONE(index);
  ByteWriter out;
  encode_head(out, index->head());
  for (std::size_t i = 0; i < index->count(); ++i) {
    const Chunk chunk = index->chunk(i);
    encode_item(out, chunk.offset + chunk.length, chunk.id);
  }
  encode_tail(out, index->count());
  EXPECT_EQ(out.size(), index_size(index->count()));
  EXPECT_EQ(to_hex(out.take()), kByCasync);
}

TEST(CasyncIndex, SaysWhichHash) {
  const auto index = Index::decode(with(16, 0xb000000000000000));
  ASSERT_DONE(index);
  EXPECT_EQ(index->head().hash(), Hash::sha512_256);
}

TEST(CasyncIndex, MayBeOfNothing) {
  ByteWriter out;
  encode_head(out, {});
  encode_tail(out, 0);
  const auto index = Index::decode(out.take());
  ASSERT_DONE(index);
  EXPECT_EQ(index->count(), 0U);
  EXPECT_EQ(index->image_size(), 0_B);
}

TEST(CasyncIndex, RefusesWhatIsNotOne) {
  const auto refused = [](Bytes file) { return code_of(Index::decode(std::move(file))); };
  for (const std::size_t mark : {0UL, 8UL, 48UL, 56UL, kTailAt, kTailAt + 8, kTailAt + 16, kTailAt + 24, kTailAt + 32})
    EXPECT_EQ(refused(with(mark, 1)), Code::usage) << mark;
  EXPECT_EQ(refused(with(16, 0x2000000000000003)), Code::usage) << "a file tree's";
  EXPECT_EQ(refused(with(24, 0)), Code::usage) << "least";
  EXPECT_EQ(refused(with(24, 65537)), Code::usage) << "least above mean";
  EXPECT_EQ(refused(with(32, 262145)), Code::usage) << "mean above greatest";
  EXPECT_EQ(refused(with(40, (128U << 20) + 1)), Code::usage) << "greatest above all";
  EXPECT_EQ(refused(with(40, 200'000)), Code::usage) << "a chunk above the greatest";
  for (const std::uint64_t end : {0UL, 167746UL, 45399UL, 300000UL, UINT64_MAX, 1UL << 63U})
    EXPECT_EQ(refused(with(104, end)), Code::usage) << "second chunk's end " << end;
  for (std::size_t size = 0; size < by_casync().size(); ++size)
    EXPECT_EQ(refused(copy(ByteView(*from_hex(kByCasync)).first(size))), Code::usage) << size;
}

// What an index says of its size is compared with what it is; nothing is taken for it.
TEST(CasyncIndex, RefusesCountsThatAreNotThere) {
  for (const std::uint64_t table : {std::uint64_t{40} << 60U, UINT64_MAX, 16 + 40 + (std::uint64_t{1} << 60U) * 40})
    EXPECT_CODE(Code::usage, Index::decode(with(kTailAt + 24, table))) << table;
}

}  // namespace
}  // namespace stampede::casync

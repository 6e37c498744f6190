#include "chunker/manifest.h"

#include "chunker/manifest_layout.h"
#include "tests/chunker/scratch.h"

namespace stampede::chunker {
namespace {

using namespace stampede::testing;

struct Built {
  Root root;
  std::vector<Bytes> segments;
};

Built build(const std::function<void(ManifestBuilder&)>& fill) {
  Built built;
  ManifestBuilder builder(512, [&](const ChunkId& id, ByteView bytes) -> Result<> {
    EXPECT_EQ(id.digest, sha256(bytes));
    built.segments.push_back(copy(bytes));
    return {};
  });
  fill(builder);
  auto root = builder.finish();
  EXPECT_DONE(root);
  built.root = *std::move(root);
  return built;
}

Manifest load(const Built& built) {
  Manifest manifest{.id = {}, .root = built.root, .segments = {}};
  for (std::size_t i = 0; i < built.segments.size(); ++i) {
    auto segment = decode_segment(built.segments[i], built.root.segments[i]);
    EXPECT_DONE(segment);
    manifest.segments.push_back(*std::move(segment));
  }
  return manifest;
}

// Zero, a chunk, a hole that may hold anything, the same chunk again, a short chunk at the end.
Built small() {
  return build([](ManifestBuilder& builder) {
    EXPECT_DONE(builder.add_extent(ExtentKind::zero, 4_KiB));
    EXPECT_DONE(builder.add_extent(ExtentKind::zero, 1_MiB));
    EXPECT_DONE(builder.add_chunk(id_of(1), 64_KiB));
    EXPECT_DONE(builder.add_extent(ExtentKind::unspecified, 8_KiB));
    EXPECT_DONE(builder.add_chunk(id_of(1), 64_KiB));
    EXPECT_DONE(builder.add_chunk(id_of(2), 700_B));
  });
}

Root golden_root() {
  Root root = small().root;
  root.table = TableKind::gpt;
  Partition partition{.number = 3, .offset = {1 << 20}, .length = 128_KiB, .type = {}, .flags = 1ULL << 63};
  partition.type[0] = std::byte{0xaf};
  root.partitions.push_back(partition);
  return root;
}

TEST(Manifest, GoldenRecords) {
  EXPECT_EQ(to_hex(small().segments[0]),
            "53544d505345474d01000000050000000000000000000000001010000000000000000000000000000000000000000000"
            "0000000000000000000000000000000000000100000000027c9fa136d4413fa6173637e883b6998d32e1d675f88cddff"
            "9dcbcf331820f4b800200000000000010000000000000000000000000000000000000000000000000000000000000000"
            "00000100000000037c9fa136d4413fa6173637e883b6998d32e1d675f88cddff9dcbcf331820f4b8bc02000000000002"
            "d86e8112f3c4c4442126f8e9f44f16867da487f29052bf91b810457db34209a4");
  EXPECT_EQ(to_hex(encode(golden_root())),
            "53544d50524f4f540100010000020000bc32120000000000bc0202000000000001000000010000000200000000000000"
            "030000000000000000001000000000000000020000000000af0000000000000000000000000000000000000000000080"
            "fbc0f10a1c06f21bfe9f55bf128aae83ecdd773f07639da2626975ba5fc8b77c00000000000000000500000001000000"
            "02000000e00000000000000000000000");
}

TEST(Manifest, RoundTrips) {
  const Built built = small();
  const Manifest manifest = load(built);
  ASSERT_EQ(manifest.segments.size(), 1U);
  const auto& records = manifest.segments[0].records;
  ASSERT_EQ(records.size(), 5U);
  EXPECT_EQ(records[0], (Record{RecordKind::zero, 1028_KiB, {}}));
  EXPECT_EQ(records[1], (Record{RecordKind::data, 64_KiB, id_of(1)}));
  EXPECT_EQ(records[2], (Record{RecordKind::unspecified, 8_KiB, {}}));
  EXPECT_EQ(records[3], (Record{RecordKind::repeat, 64_KiB, id_of(1)}));
  EXPECT_EQ(records[4], (Record{RecordKind::data, 700_B, id_of(2)}));
  EXPECT_EQ(built.root.disk_size, 1164_KiB + 700_B);
  EXPECT_EQ(built.root.data_size, 128_KiB + 700_B);
  const Root root = golden_root();
  const auto decoded = decode_root(encode(root));
  ASSERT_DONE(decoded);
  EXPECT_EQ(*decoded, root);
}

// Only where records begin between blocks may they: who knows that profile alone then knows that it cannot read it.
TEST(Manifest, RecordsBetweenBlocksAreAProfileOfTheirOwn) {
  const auto with = [](Size length) {
    return build([&](ManifestBuilder& builder) {
      EXPECT_DONE(builder.add_chunk(id_of(1), 64_KiB + length));
      for (std::uint64_t i = 2; i < kSegmentRecords + 1; ++i) EXPECT_DONE(builder.add_chunk(id_of(i), 4_KiB));
      EXPECT_DONE(builder.add_chunk(id_of(1), 64_KiB + length));
    });
  };
  EXPECT_FALSE(with({}).root.off_grid);
  EXPECT_FALSE(small().root.off_grid);
  const Built built = with(512_B);
  EXPECT_TRUE(built.root.off_grid);
  ASSERT_EQ(built.root.segments.size(), 2U);
  EXPECT_EQ(load(built).segments[1].offset.bytes % 4096, 512U);
  Bytes bytes = encode(built.root);
  const auto decoded = decode_root(bytes);
  ASSERT_DONE(decoded);
  EXPECT_EQ(*decoded, built.root);
  EXPECT_EQ(bytes[10], std::byte{2});
  bytes[10] = std::byte{1};
  EXPECT_CODE(Code::content_altered, decode_root(bytes));
  bytes[10] = std::byte{3};
  EXPECT_CODE(Code::content_altered, decode_root(bytes));
  Root large = built.root;
  large.sector_size = 4096;
  EXPECT_CODE(Code::content_altered, decode_root(encode(large)));
  ManifestBuilder odd(512, [](const ChunkId&, ByteView) -> Result<> { return {}; });
  EXPECT_DONE(odd.add_chunk(id_of(1), 700_B));
  EXPECT_CODE(Code::internal, odd.add_chunk(id_of(2), 4_KiB));
}

TEST(Manifest, AnEmptyDiskHasNoSegments) {
  const Built built = build([](ManifestBuilder&) {});
  EXPECT_TRUE(built.segments.empty());
  const auto decoded = decode_root(encode(built.root));
  ASSERT_DONE(decoded);
  EXPECT_EQ(decoded->disk_size, Size{});
}

TEST(Manifest, ExtentsAreMerged) {
  const auto extents = load(small()).extents();
  ASSERT_EQ(extents.size(), 4U);
  EXPECT_EQ(extents[0], (Extent{{0}, 1028_KiB, ExtentKind::zero}));
  EXPECT_EQ(extents[1], (Extent{{1028 << 10}, 64_KiB, ExtentKind::data}));
  EXPECT_EQ(extents[2], (Extent{{1092 << 10}, 8_KiB, ExtentKind::unspecified}));
  EXPECT_EQ(extents[3], (Extent{{1100 << 10}, 64_KiB + 700_B, ExtentKind::data}));
}

TEST(Manifest, SegmentsFillAndMergeAcrossTheirEnds) {
  const Built built = build([](ManifestBuilder& builder) {
    for (std::uint64_t i = 0; i < kSegmentRecords - 1; ++i) EXPECT_DONE(builder.add_chunk(id_of(i), 4_KiB));
    EXPECT_DONE(builder.add_extent(ExtentKind::zero, 4_KiB));
    EXPECT_DONE(builder.add_extent(ExtentKind::zero, 8_KiB));  // taken in by the full segment
    EXPECT_DONE(builder.add_chunk(id_of(0), 4_KiB));
  });
  ASSERT_EQ(built.root.segments.size(), 2U);
  EXPECT_EQ(built.root.segments[0].records, kSegmentRecords);
  EXPECT_EQ(built.root.segments[0].data_records, kSegmentRecords - 1);
  EXPECT_EQ(built.root.segments[1].offset, (Offset{4096 * 4098}));
  EXPECT_EQ(built.root.segments[1].data_records, 0U);
  EXPECT_EQ(built.root.segments[1].spans, 0U);
  EXPECT_EQ(load(built).segments[1].records[0].kind, RecordKind::repeat);
  EXPECT_DONE(decode_root(encode(built.root)));
}

TEST(Manifest, SpansCloseBeforeTheyOverflowAndAtSegments) {
  const Built built = build([](ManifestBuilder& builder) {
    std::uint64_t next = 0;
    for (int i = 0; i < 4; ++i) EXPECT_DONE(builder.add_chunk(id_of(next++), 256_KiB));  // exactly 1 MiB
    EXPECT_DONE(builder.add_chunk(id_of(0), 256_KiB));                                   // a repeat does not count
    EXPECT_DONE(builder.add_chunk(id_of(next++), 252_KiB));
    EXPECT_DONE(builder.add_extent(ExtentKind::zero, 4_KiB));
    for (int i = 0; i < 3; ++i) EXPECT_DONE(builder.add_chunk(id_of(next++), 256_KiB));
    EXPECT_DONE(builder.add_chunk(id_of(next++), 8_KiB));  // one block too many
  });
  const Manifest manifest = load(built);
  const auto spans = manifest.spans();
  ASSERT_EQ(spans.size(), 3U);
  EXPECT_EQ(built.root.span_count(), 3U);
  EXPECT_EQ(spans[0].plain_size(), 1_MiB);
  EXPECT_EQ(spans[1].plain_size(), 1020_KiB);
  EXPECT_EQ(spans[2].chunks.size(), 1U);
  EXPECT_EQ(spans[1].chunks[0].offset, (Offset{1280 << 10}));
  EXPECT_EQ(spans[1].chunks[1].offset, (Offset{1536 << 10}));
}

TEST(Manifest, BuilderRefusesProgrammersErrors) {
  ManifestBuilder builder(512, [](const ChunkId&, ByteView) -> Result<> { return {}; });
  EXPECT_CODE(Code::internal, builder.add_chunk(id_of(1), {}));
  EXPECT_CODE(Code::internal, builder.add_chunk(id_of(1), 257_KiB));
  EXPECT_CODE(Code::internal, builder.add_extent(ExtentKind::data, 4_KiB));
  EXPECT_DONE(builder.add_chunk(id_of(1), 5_B));
  EXPECT_CODE(Code::internal, builder.add_chunk(id_of(2), 4_KiB));
  EXPECT_CODE(Code::usage, builder.add_extent(ExtentKind::zero, kMaxDisk));
}

// Whatever a decoder takes must be the one encoding of what it says: every altered byte is either refused or means
// something else.
TEST(Manifest, EveryAlteredByteIsRefusedOrMeant) {
  const Bytes root = encode(golden_root());
  const Built built = small();
  const Bytes segment = built.segments[0];
  for (const unsigned change : {0x01U, 0x80U, 0xffU}) {
    for (std::size_t at = 0; at < root.size(); ++at) {
      Bytes altered = root;
      altered[at] ^= static_cast<std::byte>(change);
      if (const auto decoded = decode_root(altered)) EXPECT_EQ(encode(*decoded), altered) << at;
    }
    for (std::size_t at = 0; at < segment.size(); ++at) {
      Bytes altered = segment;
      altered[at] ^= static_cast<std::byte>(change);
      if (const auto decoded = decode_segment(altered, built.root.segments[0])) EXPECT_EQ(encode(*decoded), altered) << at;
    }
  }
  for (std::size_t size = 0; size < root.size(); ++size) EXPECT_FALSE(decode_root(ByteView(root).first(size)));
  for (std::size_t size = 0; size < segment.size(); ++size)
    EXPECT_FALSE(decode_segment(ByteView(segment).first(size), built.root.segments[0]));
}

Code root_with(const std::function<void(Root&)>& change) {
  Root root = golden_root();
  change(root);
  return code_of(decode_root(encode(root)));
}

TEST(Manifest, RootRefusesWhatCannotBe) {
  EXPECT_EQ(root_with([](Root&) {}), Code{});
  const std::vector<std::function<void(Root&)>> changes{
      [](Root& r) { r.sector_size = 1024; },
      [](Root& r) { r.data_size = r.disk_size + 1_B; },
      [](Root& r) { r.disk_size = kMaxDisk + 1_B; },
      [](Root& r) { r.disk_size = {}; },
      [](Root& r) { r.table = TableKind::none; },
      [](Root& r) { r.table = TableKind::mbr; },  // flags that an MBR partition cannot have
      [](Root& r) { r.table = TableKind{3}; },
      [](Root& r) { r.partitions[0].number = 0; },
      [](Root& r) { r.partitions.push_back(r.partitions[0]); },
      [](Root& r) { r.partitions[0].length = kMaxDisk + 1_B; },
      [](Root& r) { r.segments.clear(); },
      [](Root& r) { r.segments[0].offset = {4096}; },
      [](Root& r) { r.segments.push_back(r.segments[0]); },
      [](Root& r) { r.segments[0].records = 0; },
      [](Root& r) { r.segments[0].records = kSegmentRecords + 1; },
      [](Root& r) { r.segments[0].data_records = 6; },
      [](Root& r) { r.segments[0].spans = 3; },
      [](Root& r) { r.segments[0].spans = 0; },
      [](Root& r) { ++r.segments[0].plain_size; },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) EXPECT_EQ(root_with(changes[i]), Code::content_altered) << i;
}

Code segment_with(const std::function<void(Segment&)>& change) {
  const Built built = small();
  Segment segment = load(built).segments[0];
  change(segment);
  SegmentRef ref = describe(segment);
  ref.id = built.root.segments[0].id;
  return code_of(decode_segment(encode(segment), ref));
}

TEST(Manifest, SegmentRefusesWhatCannotBe) {
  EXPECT_EQ(segment_with([](Segment&) {}), Code{});
  const std::vector<std::function<void(Segment&)>> changes{
      [](Segment& s) { s.offset = {511}; },
      [](Segment& s) { s.records.clear(); },
      [](Segment& s) { s.records.resize(kSegmentRecords + 1, s.records[1]); },
      [](Segment& s) { s.records[0].length = {}; },
      [](Segment& s) { s.records[0].length = 511_B; },
      [](Segment& s) { s.records[0].chunk = id_of(1); },
      [](Segment& s) { s.records[0].length = s.records[2].length = kMaxDisk - 4095_B; },
      [](Segment& s) { s.records[1].length = kMaxChunk + 4_KiB; },
      [](Segment& s) { s.records[1] = s.records[0]; },
      [](Segment& s) { s.records[2].kind = RecordKind{4}; },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) EXPECT_EQ(segment_with(changes[i]), Code::content_altered) << i;
}

TEST(Manifest, SegmentMustBeWhatTheRootSays) {
  const Built built = small();
  const SegmentRef good = built.root.segments[0];
  for (const auto& change : std::vector<std::function<void(SegmentRef&)>>{
           [](SegmentRef& r) { r.offset = {4096}; }, [](SegmentRef& r) { --r.records; }, [](SegmentRef& r) { ++r.spans; },
           [](SegmentRef& r) { --r.data_records; }, [](SegmentRef& r) { r.plain_size += 40; }}) {
    SegmentRef ref = good;
    change(ref);
    EXPECT_CODE(Code::content_altered, decode_segment(built.segments[0], ref));
  }
}

}  // namespace
}  // namespace stampede::chunker

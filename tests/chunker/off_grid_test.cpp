// Images with files that do not lie on the disk's grid of blocks.
#include <fcntl.h>
#include <gtest/gtest.h>

#include "chunker/manifest_layout.h"
#include "chunker/package.h"
#include "tests/chunker/images.h"
#include "tests/chunker/memory_store.h"

namespace stampede::chunker {
namespace {

using namespace stampede::testing;

// What comes out of the store is the image, with zeros for what was left out.
void expect_comes_out(const Scratch& scratch, MemoryStore& store, const ImportReport& report,
                      const std::vector<Range>& unspecified = {}) {
  EXPECT_EQ(report.data + report.zero + report.unspecified, report.disk);
  const auto manifest = load_manifest(store, report.image);
  ASSERT_DONE(manifest);
  ASSERT_DONE(export_image(*manifest, store, scratch / "out", {}));
  auto in = read_file(scratch / "image", report.disk);
  for (const Range& free : unspecified)
    std::fill_n(in->begin() + static_cast<long>(free.at.bytes), free.length.bytes, std::byte{0});
  EXPECT_TRUE(*in == *read_file(scratch / "out", report.disk));
}

// The same file on the grid and off it is stored once, wherever it lies, and the disk comes out as it was.
TEST(OffTheGrid, AFileIsCutFromItsOwnBeginning) {
  const Scratch scratch;
  const Bytes file = random_bytes(31, (3 << 20) + 700);
  constexpr std::uint64_t kAt = 1 << 20, kOff = (8 << 20) + 1536;
  // It follows on other data, has zeros within, and is followed by data and by another at once.
  Bytes holey = random_bytes(32, 1 << 20);
  std::fill_n(holey.begin() + 300'000, 400'000, std::byte{0});
  const Size length{round_up(file.size(), 512)};
  const Offset next{kOff + length.bytes};
  write_image(scratch / "image", {24 << 20},
              {{kAt, file},
               {kOff - 10'000, random_bytes(33, 10'000)},
               {kOff, file},
               {next.bytes, holey},
               {next.bytes + holey.size(), random_bytes(34, 5 << 20)}});
  MemoryStore plain, store;
  const auto before = import_image(*File::open(scratch / "image", O_RDONLY), {}, plain, {});
  ASSERT_DONE(before);
  EXPECT_LT(before->shared_data, 100_KiB);
  ImportOptions options;
  options.off_grid = {{{kOff}, length}, {next, Size{holey.size()}}};
  const auto report = import_image(*File::open(scratch / "image", O_RDONLY), {}, store, options);
  ASSERT_DONE(report);
  EXPECT_TRUE(report->root.off_grid);
  EXPECT_EQ(report->unspecified, Size{});
  EXPECT_GT(report->shared_data + 512_KiB, Size{file.size()});
  const auto manifest = load_manifest(store, report->image);
  ASSERT_DONE(manifest);
  expect_comes_out(scratch, store, *report);
  Size off_grid;
  for (const Segment& segment : manifest->segments)
    for (Offset at = segment.offset; const Record& record : segment.records) {
      if (is_chunk(record.kind) && at.bytes % 4096 != 0) off_grid += record.length;
      at += record.length;
    }
  EXPECT_LT(off_grid, length + Size{holey.size()} + 4_KiB);
}

// What lies off the grid may come in any order of sizes and gaps; the image is the same, and its chunks depend on it alone.
TEST(OffTheGrid, AnyRangesRoundTrip) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE(seed);
    const Scratch scratch;
    write_image(scratch / "image", {12 << 20}, filesystem_like(seed, 3072));
    SeededRandom random(seed);
    ImportOptions options;
    for (Offset at{random.below(3000) * 512}; at.bytes < (11 << 20);) {
      const Size length{(1 + random.below(3000)) * 512};
      options.off_grid.push_back({at, length});
      at += length + Size{random.below(3) == 0 ? 0 : random.below(2000) * 512};
    }
    for (std::uint64_t at = random.below(400); at < 3000; at += 1 + random.below(900))
      if (random.below(2) == 0) options.unspecified.push_back({{at * 4096}, {4096 * 3}});
    std::erase_if(options.unspecified, [&](const Range& free) {
      return std::ranges::any_of(options.off_grid,
                                 [&](const Range& used) { return free.at < used.end() && used.at < free.end(); });
    });
    MemoryStore store;
    const auto report = import_image(*File::open(scratch / "image", O_RDONLY), {}, store, options);
    ASSERT_DONE(report);
    expect_comes_out(scratch, store, *report, options.unspecified);
  }
}

// An image of the first profile, or of a disk of large sectors, has no record between blocks, whatever its segments say.
TEST(OffTheGrid, RecordsAreWhereTheProfileHasThem) {
  MemoryStore store;
  const auto put = [&](ByteView bytes) {
    Digester digester;
    const VerifiedChunk object = digester.name(bytes);
    EXPECT_DONE(store.put(Sealer().seal(object)));
    return object.id();
  };
  ManifestBuilder builder(512, [&](const ChunkId&, ByteView bytes) -> Result<> {
    put(bytes);
    return {};
  });
  for (std::uint64_t i = 0; i < 3; ++i) EXPECT_DONE(builder.add_chunk(id_of(i), 4_KiB + 512_B));
  auto root = builder.finish();
  ASSERT_DONE(root);
  EXPECT_TRUE(root->off_grid);
  const auto load = [&] { return load_manifest(store, {put(encode(*root)).digest}); };
  EXPECT_DONE(load());
  root->off_grid = false;
  EXPECT_CODE(Code::content_altered, load());
  root->sector_size = 4096;
  EXPECT_CODE(Code::content_altered, load());
}

// Free space wins where somebody says both of a range.
TEST(OffTheGrid, WhatIsAlsoUnspecifiedIsLeftOut) {
  const Scratch scratch;
  write_image(scratch / "image", {4 << 20}, {{0, random_bytes(41, 4 << 20)}});
  MemoryStore store;
  ImportOptions options;
  options.off_grid = {{{(1 << 20) + 512}, 1_MiB}};
  options.unspecified = {{{(1 << 20) - 8192}, 64_KiB}, {{(1 << 20) + (256 << 10)}, 64_KiB}, {{2 << 20}, 8_KiB}};
  const auto report = import_image(*File::open(scratch / "image", O_RDONLY), {}, store, options);
  ASSERT_DONE(report);
  EXPECT_EQ(report->unspecified, 136_KiB);
  expect_comes_out(scratch, store, *report, options.unspecified);
}

// Where a file system stores zeros and where it has holes does not show.
TEST(OffTheGrid, HolesDoNotCount) {
  const Scratch scratch;
  const auto pieces = filesystem_like(42, 2048);
  write_image(scratch / "holes", {8 << 20}, pieces);
  auto all = pieces;
  all.insert(all.begin(), {0, Bytes(8 << 20)});
  write_image(scratch / "stored", {8 << 20}, all);
  MemoryStore store;
  ImportOptions options;
  options.off_grid = {{{1536}, {2 << 20}}, {{(3 << 20) + 2560}, {(4 << 20) + 512}}};
  const auto with = import_image(*File::open(scratch / "holes", O_RDONLY), {}, store, options);
  const auto without = import_image(*File::open(scratch / "stored", O_RDONLY), {}, store, options);
  ASSERT_DONE(with);
  ASSERT_DONE(without);
  EXPECT_EQ(with->image, without->image);
}

}  // namespace
}  // namespace stampede::chunker

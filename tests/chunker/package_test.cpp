#include "chunker/package.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "chunker/cutter.h"
#include "chunker/seal.h"
#include "tests/chunker/images.h"
#include "tests/chunker/memory_store.h"

namespace stampede::chunker {
namespace {

using namespace stampede::testing;

ImportReport import(const std::filesystem::path& image, MemoryStore& store, unsigned threads = 2) {
  auto report = import_image(*File::open(image, O_RDONLY), {}, store, {.threads = threads, .level = 1, .progress = {}});
  EXPECT_DONE(report);
  return report ? *report : ImportReport{};
}

// Packages, loads and unpacks the image, and expects the same bytes.
ImportReport round_trip(const Scratch& scratch, const std::filesystem::path& image, MemoryStore& store) {
  const ImportReport report = import(image, store);
  const auto manifest = load_manifest(store, report.image);
  EXPECT_DONE(manifest);
  const auto out = scratch / "out";
  if (manifest) EXPECT_DONE(export_image(*manifest, store, out, {.threads = 2, .progress = {}}));
  EXPECT_TRUE(same_content(image, out));
  std::filesystem::remove(out);
  EXPECT_EQ(report.zero + report.data, report.disk);
  EXPECT_EQ(report.new_data + report.shared_data, report.data);
  return report;
}

struct Case {
  const char* name;
  std::uint64_t size;
  std::vector<Piece> pieces;
};

TEST(Package, RoundTripsByteForByte) {
  const std::vector<Case> cases{
      {"empty", 0, {}},
      {"one byte", 1, {{0, random_bytes(1, 1)}}},
      {"one zero byte", 1, {{0, Bytes(1)}}},
      {"zeros", 5 << 20, {}},
      {"stored zeros", 5 << 20, {{0, Bytes(5 << 20)}}},
      {"random", 9 << 20, {{0, random_bytes(2, 9 << 20)}}},
      {"not of whole blocks", (3 << 20) + 512, {{0, random_bytes(3, (3 << 20) + 512)}}},
      {"not of whole sectors", (3 << 20) + 77, {{0, random_bytes(4, (3 << 20) + 77)}}},
      {"a short zero tail", (1 << 20) + 77, {{0, random_bytes(5, 1 << 20)}}},
      {"data in the last byte", (1 << 20) + 4097, {{(1 << 20) + 4096, random_bytes(6, 1)}}},
      {"file system", 24 << 20, filesystem_like(7, 6144)},
      {"file system and a tail", (8 << 20) + 100, filesystem_like(8, 2048)},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.name);
    const Scratch scratch;
    MemoryStore store;
    write_image(scratch / "image", {test.size}, test.pieces);
    const ImportReport report = round_trip(scratch, scratch / "image", store);
    EXPECT_EQ(report.disk.bytes, test.size);
  }
}

TEST(Package, ZerosTakeNothing) {
  const Scratch scratch;
  MemoryStore store;
  write_image(scratch / "image", 64_MiB + 5_B, {{8 << 20, Bytes(3 << 20)}});
  const ImportReport report = import(scratch / "image", store);
  EXPECT_EQ(report.zero, 64_MiB + 5_B);
  EXPECT_EQ(store.chunks.size(), 2U);  // one segment, one root
  const auto manifest = load_manifest(store, report.image);
  ASSERT_DONE(manifest);
  ASSERT_EQ(manifest->segments.size(), 1U);
  EXPECT_EQ(manifest->segments[0].records.size(), 1U);
}

// The id is of the content: how a file stores it, and with how many threads it is read, must not show.
TEST(Package, TheIdDependsOnTheContentAlone) {
  const Scratch scratch;
  MemoryStore store;
  const auto pieces = filesystem_like(9, 5000);
  write_image(scratch / "sparse", {5000 * 4096 + 300}, pieces);
  const auto bytes = read_file(scratch / "sparse", 1_GiB);
  ASSERT_DONE(bytes);
  write_image(scratch / "full", {bytes->size()}, {{0, *bytes}});
  const ImportReport first = import(scratch / "sparse", store, 1);
  const ImportReport second = import(scratch / "full", store, 3);
  EXPECT_EQ(first.image, second.image);
  EXPECT_EQ(first.root, second.root);
  EXPECT_EQ(second.new_chunks, 0U);
  EXPECT_EQ(second.shared_data, first.data);
}

// Every chunk begins where the one before ended or at a zero block, and ends by the cutter's rule, whatever batches it lay
// in.
TEST(Package, BatchesDoNotShow) {
  const Scratch scratch;
  MemoryStore store;
  const Bytes data = random_bytes(10, (7 << 20) + 4096 * 3);
  write_image(scratch / "image", {data.size()}, {{0, data}});
  const auto manifest = load_manifest(store, import(scratch / "image", store).image);
  ASSERT_DONE(manifest);
  ByteView rest = data;
  for (const Segment& segment : manifest->segments) {
    for (const Record& record : segment.records) {
      const Size expected = cut(rest);
      ASSERT_EQ(record.length, expected);
      ASSERT_EQ(record.chunk.digest, sha256(rest.first(expected.bytes)));
      rest = rest.subspan(expected.bytes);
    }
  }
  EXPECT_TRUE(rest.empty());
}

TEST(Package, CountsWhatIsShared) {
  const Scratch scratch;
  MemoryStore store;
  const Bytes run = random_bytes(11, 200 << 10);
  // The same run three times, zeros between: cut alike each time.
  write_image(scratch / "image", 4_MiB, {{0, run}, {1 << 20, run}, {2 << 20, run}});
  const ImportReport report = round_trip(scratch, scratch / "image", store);
  EXPECT_EQ(report.new_data, 200_KiB);
  EXPECT_EQ(report.shared_data, 400_KiB);
  EXPECT_EQ(report.new_sealed, 200_KiB);
  EXPECT_EQ(report.root.data_size, 600_KiB);
}

TEST(Package, TheFirstNewChunkIsToldOfOnce) {
  const Scratch scratch;
  write_image(scratch / "a", 24_MiB, filesystem_like(11, 6144));
  MemoryStore store;
  std::atomic<int> told = 0;
  const ImportOptions options{.threads = 4, .level = 1, .progress = {}, .first_new = [&] { ++told; }};
  const auto again = [&] {
    told = 0;
    EXPECT_DONE(import_image(*File::open(scratch / "a", O_RDONLY), {}, store, options));
    return told.load();
  };
  EXPECT_EQ(again(), 1);
  EXPECT_EQ(again(), 0);
}

TEST(Package, ManySegments) {
  const Scratch scratch;
  MemoryStore store;
  Bytes image;
  for (std::uint64_t i = 0; i < 5000; ++i) {  // data and stored zeros in turn
    const Bytes block = random_bytes(i, 4096);
    image.insert(image.end(), block.begin(), block.end());
    image.resize(image.size() + 4096);
  }
  write_image(scratch / "image", {image.size()}, {{0, image}});
  const ImportReport report = import(scratch / "image", store);
  EXPECT_EQ(report.root.segments.size(), 3U);
  const auto manifest = load_manifest(store, report.image);
  ASSERT_DONE(manifest);
  EXPECT_EQ(manifest->extents().size(), 10'000U);
  EXPECT_EQ(manifest->spans().size(), manifest->root.span_count());
}

// The kinds of an image's extents, one letter for each block of 4 KiB: d, z, u.
std::string kinds_of(const Manifest& manifest) {
  std::string out;
  for (const Extent& extent : manifest.extents())
    out.append((extent.length.bytes + 4095) / 4096, extent.kind == ExtentKind::data   ? 'd'
                                                    : extent.kind == ExtentKind::zero ? 'z'
                                                                                      : 'u');
  return out;
}

TEST(Package, WhatIsUnspecifiedIsNotRead) {
  const Scratch scratch;
  // Data, a hole and stored zeros; then half a block.
  write_image(scratch / "image", {20 * 4096 + 2048},
              {{0, random_bytes(21, 8 * 4096)}, {12 * 4096, Bytes(4096)}, {13 * 4096, random_bytes(22, 7 * 4096 + 2048)}});
  struct Case {
    std::vector<Range> unspecified;
    std::string kinds;
    std::uint64_t left_out;  // blocks
  };
  const std::vector<Case> cases{
      {{}, "ddddddddzzzzzdddddddd", 0},
      {{{{4096}, {8192}}}, "duudddddzzzzzdddddddd", 2},
      {{{{0}, {4096}}, {{4096}, {4096}}}, "uuddddddzzzzzdddddddd", 2},
      // Not of whole blocks: what is wholly in the range.
      {{{{1}, {8192}}}, "duddddddzzzzzdddddddd", 1},
      {{{{4095}, {4098}}}, "duddddddzzzzzdddddddd", 1},
      {{{{4097}, {4096}}}, "ddddddddzzzzzdddddddd", 0},
      // Of holes and of stored zeros, too; and up to the end, the short block with it.
      {{{{6 * 4096}, {8 * 4096}}}, "dddddduuuuuuuuddddddd", 4},
      {{{{19 * 4096}, {4096 + 2048}}}, "ddddddddzzzzzdddddduu", 2},
      {{{{0}, {20 * 4096 + 2048}}}, std::string(21, 'u'), 17},
      {{{{0}, {1 << 30}}}, std::string(21, 'u'), 17},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.kinds);
    MemoryStore store;
    ImportOptions options;
    options.unspecified = test.unspecified;
    const auto report = import_image(*File::open(scratch / "image", O_RDONLY), {}, store, options);
    ASSERT_DONE(report);
    const auto manifest = load_manifest(store, report->image);
    ASSERT_DONE(manifest);
    EXPECT_EQ(kinds_of(*manifest), test.kinds.substr(0, 21));
    EXPECT_EQ(report->data + report->zero + report->unspecified, report->disk);
    EXPECT_EQ((report->left_out.bytes + 2048) / 4096, test.left_out);
    ASSERT_DONE(export_image(*manifest, store, scratch / "out", {}));
    const auto in = read_file(scratch / "image", 1_MiB), out = read_file(scratch / "out", 1_MiB);
    ASSERT_EQ(in->size(), out->size());
    for (std::size_t at = 0; at < in->size(); ++at) {
      if (test.kinds[at / 4096] == 'u') ASSERT_EQ((*out)[at], std::byte{0}) << at;
      if (test.kinds[at / 4096] != 'u') ASSERT_EQ((*out)[at], (*in)[at]) << at;
    }
    std::filesystem::remove(scratch / "out");
  }
}

// Chunks do not reach over a gap, and what a gap hides does not show in the image's id.
TEST(Package, WhatIsUnspecifiedDoesNotCount) {
  const Scratch scratch;
  MemoryStore store;
  SeededRandom random(23);
  ImportOptions options;
  for (std::uint64_t block = 1; block < 2000; block += 2 + random.below(40))
    options.unspecified.push_back({{block * 4096}, {(1 + random.below(2)) * 4096}});
  const Bytes data = random_bytes(24, 2100 * 4096);
  write_image(scratch / "image", {data.size()}, {{0, data}});
  const auto first = import_image(*File::open(scratch / "image", O_RDONLY), {}, store, options);
  ASSERT_DONE(first);
  std::vector<Piece> garbage{{0, data}};
  for (const auto& range : options.unspecified) garbage.push_back({range.at.bytes, random_bytes(25, range.length.bytes)});
  write_image(scratch / "other", {data.size()}, garbage);
  const auto second = import_image(*File::open(scratch / "other", O_RDONLY), {}, store, options);
  ASSERT_DONE(second);
  EXPECT_EQ(first->image, second->image);
  EXPECT_EQ(second->new_chunks, 0U);
}

// More gaps without data between them than a batch keeps.
TEST(Package, AnyNumberOfGaps) {
  const Scratch scratch;
  MemoryStore store;
  write_image(scratch / "image", {200'000 * 4096}, {{4096, random_bytes(26, 4096)}});
  ImportOptions options;
  for (std::uint64_t block = 3; block < 200'000; block += 2) options.unspecified.push_back({{block * 4096}, {4096}});
  const auto report = import_image(*File::open(scratch / "image", O_RDONLY), {}, store, options);
  ASSERT_DONE(report);
  EXPECT_EQ(report->unspecified.bytes, options.unspecified.size() * 4096);
  EXPECT_EQ(report->data, 4_KiB);
}

TEST(Package, ErrorsStopTheLine) {
  const Scratch scratch;
  write_image(scratch / "image", 80_MiB, {{0, random_bytes(12, 80 << 20)}});
  for (const std::size_t puts : {0UL, 1UL, 500UL}) {
    MemoryStore store;
    store.puts_left = puts;
    EXPECT_CODE(Code::no_space, import_image(*File::open(scratch / "image", O_RDONLY), {}, store, {}));
  }
  MemoryStore store;
  TableFacts impossible{.kind = TableKind::none, .sector_size = 512, .partitions = {Partition{}}};
  EXPECT_CODE(Code::usage, import_image(*File::open(scratch / "image", O_RDONLY), impossible, store, {}));
}

// Changes the image while it is packaged.
class MeddlingStore : public MemoryStore {
 public:
  MeddlingStore(std::filesystem::path image, std::uint64_t size) : image_(std::move(image)), size_(size) {}
  Result<> put(SealedChunk chunk) override {
    std::error_code error;
    std::filesystem::resize_file(image_, size_, error);
    return MemoryStore::put(std::move(chunk));
  }

 private:
  std::filesystem::path image_;
  std::uint64_t size_;
};

TEST(Package, AnImageThatChangesItsSizeIsRefused) {
  // Longer than all batches together, so that the reader cannot be through when the first chunk is put.
  const std::uint64_t size = (kImportBuffers + 8) * kImportBatch.bytes;
  for (const std::uint64_t changed : {size - 5, size + 1, std::uint64_t{4096}}) {
    const Scratch scratch;
    write_image(scratch / "image", {size}, {{0, texty_bytes(13, size)}});
    MeddlingStore store(scratch / "image", changed);
    EXPECT_CODE(Code::read_failed, import_image(*File::open(scratch / "image", O_RDONLY), {}, store, {}));
  }
}

// Writes into the image while it is packaged; its size stays.
class RewritingStore : public MemoryStore {
 public:
  explicit RewritingStore(const std::filesystem::path& image) : file_(*File::open(image, O_RDWR)) {}
  Result<> put(SealedChunk chunk) override {
    STAMPEDE_CHECK(file_.write_at({}, Bytes(1)));
    return MemoryStore::put(std::move(chunk));
  }

 private:
  File file_;
};

TEST(Package, AnImageThatIsWrittenMeanwhileIsRefused) {
  const Scratch scratch;
  write_image(scratch / "image", 3_MiB, {{0, random_bytes(17, 3 << 20)}});
  // Timestamps count in ticks of the kernel: they must differ from those of a file that was written just now.
  std::filesystem::last_write_time(scratch / "image", std::filesystem::file_time_type{});
  RewritingStore store(scratch / "image");
  EXPECT_CODE(Code::read_failed, import_image(*File::open(scratch / "image", O_RDONLY), {}, store, {}));
}

TEST(Package, WhatCannotBeDescribedIsNotRead) {
  const Scratch scratch;
  MemoryStore store;
  write_image(scratch / "image", 3_MiB, {{0, random_bytes(18, 3 << 20)}});
  TableFacts flags{.kind = TableKind::mbr, .sector_size = 512, .partitions = {Partition{}}};
  flags.partitions[0].number = 1;
  flags.partitions[0].flags = 0x80;
  EXPECT_CODE(Code::usage, import_image(*File::open(scratch / "image", O_RDONLY), flags, store, {}));
  EXPECT_TRUE(store.chunks.empty());
}

TEST(Package, CanBeInterrupted) {
  const Scratch scratch;
  MemoryStore store;
  write_image(scratch / "image", 80_MiB, {{0, random_bytes(19, 80 << 20)}});
  int asked = 0;
  ImportOptions options;
  options.interrupted = [&] { return ++asked > 3; };
  EXPECT_CODE(Code::interrupted, import_image(*File::open(scratch / "image", O_RDONLY), {}, store, options));
}

TEST(Export, CanBeInterruptedAndIsSeenOnlyWhenItIsWhole) {
  const Scratch scratch;
  MemoryStore store;
  write_image(scratch / "image", 8_MiB, {{0, random_bytes(20, 8 << 20)}});
  const auto manifest = load_manifest(store, import(scratch / "image", store).image);
  ASSERT_DONE(manifest);
  std::atomic<int> asked = 0;
  std::atomic<bool> seen = false;
  ExportOptions options;
  options.interrupted = [&] {
    seen = seen || std::filesystem::exists(scratch / "out");
    return ++asked > 3;
  };
  EXPECT_CODE(Code::interrupted, export_image(*manifest, store, scratch / "out", options));
  EXPECT_FALSE(seen);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(scratch / ""), {}), 1);
}

TEST(Package, ProgressComesFromTheCallingThreadAndEndsAtTheEnd) {
  const Scratch scratch;
  MemoryStore store;
  write_image(scratch / "image", 3_MiB, {{0, random_bytes(14, 1 << 20)}});
  Offset reached;
  const auto caller = std::this_thread::get_id();
  const auto progress = [&](Offset done, Size total) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    EXPECT_EQ(total, 3_MiB);
    EXPECT_GE(done, reached);
    reached = done;
  };
  const auto report =
      import_image(*File::open(scratch / "image", O_RDONLY), {}, store, {.threads = 2, .level = 1, .progress = progress});
  ASSERT_DONE(report);
  EXPECT_EQ(reached, (Offset{3 << 20}));
}

TEST(Export, RefusesAnExistingFileAndRemovesAFailedOne) {
  const Scratch scratch;
  MemoryStore store;
  write_image(scratch / "image", 3_MiB, {{0, random_bytes(15, 3 << 20)}});
  const auto manifest = load_manifest(store, import(scratch / "image", store).image);
  ASSERT_DONE(manifest);
  EXPECT_CODE(Code::usage, export_image(*manifest, store, scratch / "image", {}));
  EXPECT_TRUE(std::filesystem::exists(scratch / "image"));

  SealedChunk& chunk = store.chunks.at(manifest->segments[0].records[3].chunk);
  const SealedChunk good = chunk;
  chunk.bytes[5] ^= std::byte{1};
  EXPECT_CODE(Code::content_altered, export_image(*manifest, store, scratch / "out", {}));
  EXPECT_FALSE(std::filesystem::exists(scratch / "out"));
  store.chunks.erase(good.id);
  EXPECT_CODE(Code::not_found, export_image(*manifest, store, scratch / "out", {}));
  EXPECT_FALSE(std::filesystem::exists(scratch / "out"));
}

TEST(Export, WritesManySegments) {
  const Scratch scratch;
  MemoryStore store;
  Digester digester;
  Sealer sealer;
  const auto put = [&](const ChunkId&, ByteView bytes) { return store.put(sealer.seal(digester.name(bytes))); };
  ManifestBuilder builder(512, put);
  Bytes image;
  for (std::uint64_t i = 0; i < 5000; ++i) {  // every third chunk is a repeat
    const Bytes block = random_bytes(i % 3 == 0 ? 0 : i, 4096);
    ASSERT_DONE(put({}, block));
    ASSERT_DONE(builder.add_chunk({sha256(block)}, 4_KiB));
    image.insert(image.end(), block.begin(), block.end());
  }
  const auto root = builder.finish();
  ASSERT_DONE(root);
  const Bytes bytes = encode(*root);
  ASSERT_DONE(put({}, bytes));
  const auto manifest = load_manifest(store, {sha256(bytes)});
  ASSERT_DONE(manifest);
  ASSERT_EQ(manifest->segments.size(), 2U);
  ASSERT_DONE(export_image(*manifest, store, scratch / "out", {}));
  EXPECT_TRUE(read_file(scratch / "out", 1_GiB) == image);
}

TEST(Export, IsSparseAndLeavesUnspecifiedExtentsAsHoles) {
  const Scratch scratch;
  MemoryStore store;
  Digester digester;
  Sealer sealer;
  const Bytes block = random_bytes(16, 4096);
  const auto put = [&](const ChunkId&, ByteView bytes) { return store.put(sealer.seal(digester.name(bytes))); };
  ASSERT_DONE(put({}, block));
  ManifestBuilder builder(512, put);
  ASSERT_DONE(builder.add_extent(ExtentKind::unspecified, 64_MiB));
  ASSERT_DONE(builder.add_chunk({sha256(block)}, 4_KiB));
  ASSERT_DONE(builder.add_extent(ExtentKind::zero, 64_MiB));
  const auto root = builder.finish();
  ASSERT_DONE(root);
  const Bytes bytes = encode(*root);
  ASSERT_DONE(put({}, bytes));
  const auto manifest = load_manifest(store, {sha256(bytes)});
  ASSERT_DONE(manifest);
  ASSERT_DONE(export_image(*manifest, store, scratch / "out", {}));
  struct stat status{};
  ASSERT_EQ(::stat((scratch / "out").c_str(), &status), 0);
  EXPECT_EQ(status.st_size, (128 << 20) + 4096);
  EXPECT_LT(status.st_blocks * 512, 1 << 20);
}

}  // namespace
}  // namespace stampede::chunker

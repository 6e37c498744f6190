#include "src/casync/export.h"

#include "chunker/seal.h"
#include "tests/casync/image.h"

namespace stampede::casync {
namespace {

using namespace stampede::testing;
namespace fs = std::filesystem;

std::size_t files_in(const fs::path& folder) {
  std::size_t count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) count += entry.is_regular_file() ? 1 : 0;
  return count;
}

Bytes assembled(const fs::path& index_file, const fs::path& store) {
  auto file = read_file(index_file, kMaxIndex);
  EXPECT_DONE(file);
  const auto index = Index::decode(std::move(*file));
  EXPECT_DONE(index);
  Bytes image;
  chunker::Opener opener;
  for (std::size_t i = 0; i < index->count(); ++i) {
    const Chunk chunk = index->chunk(i);
    const auto frame = read_file(store / store_path(chunk.id), 1_MiB);
    EXPECT_DONE(frame);
    Bytes plain(chunk.length.bytes);
    EXPECT_DONE(opener.open_frame(*frame, plain));
    EXPECT_EQ(chunker::sha256(plain), chunk.id);
    image.insert(image.end(), plain.begin(), plain.end());
  }
  return image;
}

TEST(CasyncExport, HoldsTheImage) {
  const PackagedImage image(12_MiB + 77_B, filesystem_like(5, 3072));
  const Scratch out;
  const auto exported =
      export_index(image.store(), image.id(), out / "x.caibx", out / "store", {.threads = 2, .progress = {}});
  ASSERT_DONE(exported);
  EXPECT_EQ(assembled(out / "x.caibx", out / "store"), image.bytes());
  EXPECT_EQ(files_in(out.path()), exported->new_chunks + 1);
}

// Threads that meet the same chunk at once must not both count it.

// Threads that meet the same chunk at once must not both count it.
TEST(CasyncExport, CountsAChunkOnceThatIsThereOften) {
  std::vector<Piece> pieces;
  for (std::uint64_t i = 0; i < 64; ++i) pieces.push_back({i * 2 * 4096, random_bytes(7, 4096)});
  const PackagedImage image(1_MiB, pieces);
  const Scratch out;
  const auto exported =
      export_index(image.store(), image.id(), out / "x.caibx", out / "store", {.threads = 8, .progress = {}});
  ASSERT_DONE(exported);
  EXPECT_EQ(assembled(out / "x.caibx", out / "store"), image.bytes());
  EXPECT_EQ(files_in(out / "store"), exported->new_chunks);
}

TEST(CasyncExport, KeepsTheFilesThatAreThere) {
  const PackagedImage image(3_MiB, filesystem_like(6, 768));
  const Scratch out;
  ASSERT_DONE(export_index(image.store(), image.id(), out / "x.caibx", out / "store", {.threads = 2, .progress = {}}));
  const auto again = export_index(image.store(), image.id(), out / "y.caibx", out / "store", {.threads = 2, .progress = {}});
  ASSERT_DONE(again);
  EXPECT_EQ(again->new_chunks, 0U);
  EXPECT_TRUE(same_content(out / "x.caibx", out / "y.caibx"));
}

TEST(CasyncExport, LeavesNoIndexWhereItFails) {
  const PackagedImage image(3_MiB, filesystem_like(6, 768));
  const Scratch out;
  const auto manifest = chunker::load_manifest(image.store(), image.id());
  ASSERT_DONE(manifest);
  image.store().chunks.erase(manifest->spans().back().chunks.back().id);
  EXPECT_FALSE(export_index(image.store(), image.id(), out / "x.caibx", out / "store", {.threads = 2, .progress = {}}));
  EXPECT_EQ(std::distance(fs::directory_iterator(out.path()), fs::directory_iterator()), 1) << "the store alone";
  ASSERT_DONE(replace_file(out / "y.caibx", as_bytes("precious")));
  EXPECT_CODE(Code::usage, export_index(image.store(), image.id(), out / "y.caibx", out / "store", {}));
  EXPECT_CODE(Code::usage, export_index(image.store(), image.id(), out / "y.img", out / "store", {}));
}

}  // namespace
}  // namespace stampede::casync

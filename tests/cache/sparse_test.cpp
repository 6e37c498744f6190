// A disk of 1 TiB that holds three blocks.
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/cache/store_fixture.h"

namespace stampede::cache {
namespace {

using namespace stampede::testing;

TEST(Sparse, ATebibyteOfHolesTakesNoTimeAndNoRoom) {
  constexpr Size kDisk{std::uint64_t{1} << 40};
  const Scratch scratch;
  const std::vector<Piece> pieces{{0, random_bytes(1, 4096)},
                                  {(std::uint64_t{1} << 39) + 8192, random_bytes(2, 4096)},
                                  {kDisk.bytes - 4096, random_bytes(3, 4096)}};
  write_image(scratch / "image", kDisk, pieces);
  const auto store = open_store(scratch / "store");
  const auto report = import_into(*store, scratch / "image");
  EXPECT_EQ(report.data, 12_KiB);
  EXPECT_EQ(report.new_chunks, 3U);
  const auto manifest = chunker::load_manifest(store->chunks(), report.image);
  ASSERT_DONE(manifest);
  EXPECT_EQ(manifest->extents().size(), 5U);
  ASSERT_DONE(chunker::export_image(*manifest, store->chunks(), scratch / "out", {}));

  struct stat status{};
  ASSERT_EQ(::stat((scratch / "out").c_str(), &status), 0);
  EXPECT_EQ(static_cast<std::uint64_t>(status.st_size), kDisk.bytes);
  EXPECT_LT(status.st_blocks, 1000);
  const auto out = File::open(scratch / "out", O_RDONLY);
  ASSERT_DONE(out);
  for (const Piece& piece : pieces) {
    Bytes read(4096);
    ASSERT_DONE(out->read_at({piece.at}, read));
    EXPECT_EQ(read, piece.bytes);
  }
}

}  // namespace
}  // namespace stampede::cache

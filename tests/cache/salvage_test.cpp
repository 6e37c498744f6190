// What is had of a damaged pack: every record that is sound, whatever became of the others.
#include "cache/pack_salvage.h"

#include <fcntl.h>

#include <algorithm>

#include "cache/pack_writer.h"
#include "tests/cache/store_fixture.h"

namespace stampede::cache {
namespace {

using namespace stampede::testing;

struct Damaged {
  Scratch scratch;
  std::vector<chunker::SealedChunk> chunks = some_chunks(1, 40);
  std::filesystem::path path;
  std::vector<PackEntry> entries;

  Damaged() {
    make_folders(scratch / "packs").value();
    auto writer = *PackWriter::create(scratch / "packs");
    for (const auto& chunk : chunks) EXPECT_DONE(writer->append(chunk));
    path = *writer->publish();
    entries = *Pack::open(path)->pack->entries();
    std::ranges::sort(entries, {}, &PackEntry::record);
  }
  void overwrite(std::uint64_t at, std::size_t size) const {
    const auto file = File::open(path, O_RDWR);
    ASSERT_DONE(file);
    ASSERT_DONE(file->write_at({at}, Bytes(size, std::byte{0x5A})));
  }
  std::size_t sound() const {
    std::size_t count = 0;
    const auto file = File::open(path, O_RDONLY);
    EXPECT_DONE(scan_all(*file, [&](const PackEntry&, ByteView) {
      ++count;
      return Result<>();
    }));
    return count;
  }
};

TEST(Salvage, FindsEveryRecordBehindTheDamage) {
  const Damaged pack;
  EXPECT_EQ(pack.sound(), 40U);
  pack.overwrite(pack.entries[3].sealed().bytes + 5, 1);
  EXPECT_EQ(pack.sound(), 39U);
  pack.overwrite(pack.entries[10].record.bytes + 9, 1);  // a length: where the next begins has to be looked for
  EXPECT_EQ(pack.sound(), 38U);
  pack.overwrite(0, 8);
  EXPECT_EQ(pack.sound(), 38U);
  // From within one record into another, which takes all between.
  pack.overwrite(pack.entries[20].record.bytes + 10, pack.entries[23].record.bytes - pack.entries[20].record.bytes);
  EXPECT_EQ(pack.sound(), 34U);
}

TEST(Salvage, KeepsWhatIsSoundAndThePackAside) {
  const Damaged pack;
  pack.overwrite(pack.entries[3].sealed().bytes + 5, 1);
  const auto salvaged = salvage_pack(pack.scratch / "packs", pack.path.filename(), pack.scratch / "damaged");
  ASSERT_DONE(salvaged);
  EXPECT_EQ(salvaged->chunks, 39U);
  ASSERT_EQ(salvaged->packs.size(), 1U);
  EXPECT_FALSE(std::filesystem::exists(pack.path));
  EXPECT_EQ(salvaged->aside, pack.scratch / "damaged" / pack.path.filename());
  EXPECT_TRUE(std::filesystem::exists(salvaged->aside));
  const auto made = Pack::open(pack.scratch / "packs" / salvaged->packs.front());
  ASSERT_DONE(made);
  EXPECT_EQ(made->pack->size(), 39U);
}

TEST(Salvage, APackWithANewFooterTakesItsPlace) {
  const Damaged pack;
  pack.overwrite(std::filesystem::file_size(pack.path) - 40, 4);
  EXPECT_EQ(*damaged_packs(pack.scratch / "packs"), std::vector<std::string>{pack.path.filename()});
  const auto salvaged = salvage_pack(pack.scratch / "packs", pack.path.filename(), pack.scratch / "damaged");
  ASSERT_DONE(salvaged);
  EXPECT_TRUE(salvaged->aside.empty());
  EXPECT_TRUE(damaged_packs(pack.scratch / "packs")->empty());
  EXPECT_EQ(Pack::open(pack.path)->pack->size(), 40U);
}

TEST(Salvage, OneOfThatNameThatWasPutAsideBeforeStays) {
  const Damaged pack;
  pack.overwrite(pack.entries[3].sealed().bytes + 5, 1);
  const auto name = pack.path.filename();
  std::filesystem::create_directory(pack.scratch / "damaged");
  ASSERT_DONE(replace_file(pack.scratch / "damaged" / name, as_bytes("precious")));
  const auto salvaged = salvage_pack(pack.scratch / "packs", name, pack.scratch / "damaged");
  ASSERT_DONE(salvaged);
  EXPECT_EQ(as_text(*read_file(pack.scratch / "damaged" / name, 1_KiB)), "precious");
  EXPECT_NE(salvaged->aside.filename(), name);
}

}  // namespace
}  // namespace stampede::cache

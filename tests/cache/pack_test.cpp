#include "cache/pack.h"

#include <fcntl.h>

#include <algorithm>

#include "cache/pack_recovery.h"
#include "cache/pack_writer.h"
#include "tests/cache/store_fixture.h"

namespace stampede::cache {
namespace {

using namespace stampede::testing;

std::filesystem::path write_pack(const Scratch& scratch, const std::vector<chunker::SealedChunk>& chunks) {
  auto writer = PackWriter::create(scratch / "");
  EXPECT_DONE(writer);
  for (const auto& chunk : chunks) EXPECT_DONE((*writer)->append(chunk));
  const auto path = (*writer)->publish();
  EXPECT_DONE(path);
  return path ? *path : "";
}

std::optional<PackEntry> find(const OpenedPack& opened, const chunker::ChunkId& id) {
  for (std::uint32_t i = 0; i < opened.footer.size(); ++i)
    if (opened.footer.entry(i).id == id) return opened.footer.entry(i);
  return std::nullopt;
}

TEST(Pack, Golden) {
  const Scratch scratch;
  // The second is no real frame: what zstd makes is not ours to pin, and a pack does not look into it.
  const chunker::SealedChunk framed{id_of(1), chunker::Codec::zstd, 100, copy(as_bytes("frame"))};
  const auto path = write_pack(scratch, {seal(as_bytes("raw bytes")), framed});
  const auto bytes = read_file(path, 1_MiB);
  ASSERT_DONE(bytes);
  EXPECT_EQ(path.filename().string(), "3c7479bf2ac97f98c6327c8018b510c7938d3a5b77aa884c14229f18806ba93e.pack");
  EXPECT_EQ(to_hex(*bytes),
            "53544d505041434b010000000000000043484e4b0000000009000000090000009ab366ad455508d5f47b0128d7d243a2"
            "c0e4f5ce399b5f85cd10b343e745a4dc15f8adf685000c1d3688cbc5aa28d54c72617720627974657343484e4b010000"
            "0064000000050000007c9fa136d4413fa6173637e883b6998d32e1d675f88cddff9dcbcf331820f4b83677c862128f9e"
            "b0913f689c4568820c6672616d657c9fa136d4413fa6173637e883b6998d32e1d675f88cddff9dcbcf331820f4b85900"
            "00000000000005000000640000109ab366ad455508d5f47b0128d7d243a2c0e4f5ce399b5f85cd10b343e745a4dc1000"
            "000000000000090000000900000002000000000000009e00000000000000010000000000000053544d50464f4f54");
}

TEST(Pack, GivesBackWhatWasPut) {
  const Scratch scratch;
  const auto chunks = some_chunks(1, 300);
  const auto opened = Pack::open(write_pack(scratch, chunks));
  ASSERT_DONE(opened);
  const auto& pack = opened->pack;
  ASSERT_EQ(pack->size(), chunks.size());
  for (std::uint32_t i = 0; i < pack->size(); ++i) EXPECT_EQ(*pack->entry(i), opened->footer.entry(i));
  std::vector<PackEntry> run;
  Bytes expected;
  for (const auto& chunk : chunks) {
    const auto entry = find(*opened, chunk.id);
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->plain_size, chunk.plain_size);
    Bytes sealed(entry->sealed_size);
    ASSERT_DONE(pack->read(std::span(&*entry, 1), sealed));
    EXPECT_EQ(sealed, chunk.bytes);
    if (run.size() < Pack::kMaxRun) {
      run.push_back(*entry);
      expected.insert(expected.end(), sealed.begin(), sealed.end());
    }
  }
  Bytes all(expected.size());
  ASSERT_DONE(pack->read(run, all));
  EXPECT_EQ(all, expected);
}

TEST(Pack, RefusesAChunkThatNobodyCouldRead) {
  const Scratch scratch;
  auto writer = PackWriter::create(scratch / "");
  ASSERT_DONE(writer);
  chunker::SealedChunk chunk = seal(texty_bytes(1, 5000));
  chunk.plain_size = 100;
  EXPECT_FALSE((*writer)->append(chunk));
}

TEST(Pack, EveryDamageToTheFooterIsSeenAtOpen) {
  const Scratch scratch;
  const auto path = write_pack(scratch, some_chunks(2, 5));
  const auto good = read_file(path, 1_MiB);
  ASSERT_DONE(good);
  const std::size_t footer = good->size() - 5 * kFooterEntry - kTrailer;
  const auto opens = [&](const Bytes& bytes) {
    EXPECT_DONE(replace_file(path, bytes));
    const auto pack = Pack::open(path);
    if (pack) return true;
    EXPECT_EQ(pack.error().code, Code::store_damaged);
    EXPECT_NE(pack.error().message.find(path.string()), std::string::npos) << pack.error().message;
    return false;
  };
  for (std::size_t at = 0; at < good->size(); ++at) {
    const bool record = at >= kPackHead && at < footer;
    if (record || at % 7 != 0) continue;
    Bytes altered = *good;
    altered[at] ^= std::byte{0x40};
    EXPECT_FALSE(opens(altered)) << at;
  }
  for (const std::size_t cut : {1UL, 32UL, 33UL, 300UL, good->size() - 1, good->size()}) {
    Bytes altered = *good;
    altered.resize(good->size() - cut);
    EXPECT_FALSE(opens(altered)) << cut;
  }
  EXPECT_TRUE(opens(*good));
}

TEST(Pack, AnEntryThatWasAlteredSinceIsNoEntry) {
  const Scratch scratch;
  const auto path = write_pack(scratch, some_chunks(2, 5));
  const auto opened = Pack::open(path);
  ASSERT_DONE(opened);
  const std::uint64_t third = opened->pack->records_end().bytes + 2 * kFooterEntry;
  const auto file = File::open(path, O_RDWR);
  ASSERT_DONE(file);
  // Where its record lies; how long it is; its length when it is opened.
  for (const std::uint64_t at : {38UL, 43UL, 46UL}) {
    Bytes byte(1);
    ASSERT_DONE(file->read_at({third + at}, byte));
    ASSERT_DONE(file->write_at({third + at}, Bytes(1, byte[0] ^ std::byte{0x80})));
    EXPECT_CODE(Code::store_damaged, opened->pack->entry(2)) << at;
    EXPECT_DONE(opened->pack->entry(1));
    ASSERT_DONE(file->write_at({third + at}, byte));
  }
  ASSERT_DONE(file->truncate({third}));
  EXPECT_CODE(Code::read_failed, opened->pack->entry(2));
}

TEST(Pack, DamageToARecordIsSeenWhenItIsRead) {
  const Scratch scratch;
  const auto chunks = some_chunks(3, 5);
  const auto path = write_pack(scratch, chunks);
  const auto good = read_file(path, 1_MiB);
  ASSERT_DONE(good);
  const PackEntry entry = *find(*Pack::open(path), chunks[2].id);
  for (const std::uint64_t at : {entry.record.bytes, entry.record.bytes + 20, entry.sealed().bytes, entry.end().bytes - 1}) {
    Bytes altered = *good;
    altered[at] ^= std::byte{1};
    ASSERT_DONE(replace_file(path, altered));
    const auto pack = Pack::open(path);
    ASSERT_DONE(pack);
    Bytes sealed(entry.sealed_size);
    const auto read = pack->pack->read(std::span(&entry, 1), sealed);
    EXPECT_CODE(Code::store_damaged, read);
    EXPECT_NE(read.error().message.find(path.string()), std::string::npos);
    EXPECT_NE(read.error().message.find(to_string(entry.id)), std::string::npos);
  }
}

// Whatever a crash leaves of an unclosed pack, exactly the whole records before the damage are kept.
TEST(Recovery, KeepsEveryWholeRecordBeforeTheTear) {
  const Scratch scratch;
  const auto chunks = some_chunks(4, 12);
  const auto source = write_pack(scratch, chunks);
  const auto whole = read_file(source, 1_MiB);
  ASSERT_DONE(whole);
  std::vector<Offset> ends;
  {
    const auto pack = *Pack::open(source);
    for (const auto& chunk : chunks) ends.push_back(find(pack, chunk.id)->end());
  }
  SeededRandom random(5);
  for (int round = 0; round < 40; ++round) {
    SCOPED_TRACE(round);
    const Scratch folder;
    const std::size_t tear = round < 3 ? static_cast<std::size_t>(round) * 15 : random.below(whole->size() + 1);
    Bytes torn(whole->begin(), whole->begin() + static_cast<std::ptrdiff_t>(tear));
    if (round % 2 == 1) torn.resize(torn.size() + random.below(5000), std::byte{0});  // as after a lost write
    ASSERT_DONE(replace_file(folder / "x.open", torn));
    const auto lines = recover_packs(folder / "");
    ASSERT_DONE(lines);
    EXPECT_EQ(lines->size(), 1U);
    EXPECT_FALSE(std::filesystem::exists(folder / "x.open"));
    const auto kept = static_cast<std::size_t>(std::ranges::count_if(ends, [&](Offset end) { return end.bytes <= tear; }));
    std::vector<std::filesystem::path> packs;
    for (const auto& entry : std::filesystem::directory_iterator(folder / "")) packs.push_back(entry.path());
    ASSERT_EQ(packs.size(), kept > 0 ? 1U : 0U);
    if (kept == 0) continue;
    const auto pack = Pack::open(packs[0]);
    ASSERT_DONE(pack);
    EXPECT_EQ(pack->footer.size(), kept);
    for (std::size_t i = 0; i < kept; ++i) EXPECT_TRUE(find(*pack, chunks[i].id));
  }
}

TEST(Recovery, LeavesALivingWritersPackAlone) {
  const Scratch scratch;
  auto writer = PackWriter::create(scratch / "");
  ASSERT_DONE(writer);
  ASSERT_DONE((*writer)->append(seal(as_bytes("x"))));
  const auto lines = recover_packs(scratch / "");
  ASSERT_DONE(lines);
  EXPECT_TRUE(lines->empty());
  ASSERT_DONE((*writer)->publish());
}

TEST(PackWriter, LeavesNothingBehindUnlessPublished) {
  const Scratch scratch;
  {
    auto writer = PackWriter::create(scratch / "");
    ASSERT_DONE(writer);
    ASSERT_DONE((*writer)->append(seal(random_bytes(1, 3 << 20))));
    EXPECT_FALSE(std::filesystem::is_empty(scratch / ""));
  }
  EXPECT_TRUE(std::filesystem::is_empty(scratch / ""));
}

}  // namespace
}  // namespace stampede::cache

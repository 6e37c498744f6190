#include "src/deploy/survey.h"

#include <sys/mman.h>

#include <array>
#include <atomic>
#include <optional>
#include <set>
#include <thread>

#include "chunker/seal.h"
#include "src/deploy/read_back.h"
#include "src/deploy/scan.h"
#include "tests/chunker/images.h"
#include "tests/chunker/memory_store.h"

namespace stampede::deploy {
namespace {

using namespace stampede::testing;

// A disk that becomes an image as a deployment makes it, with what is lacking taken from a store.
class SurveyTest : public ::testing::Test {
 protected:
  static constexpr Size kDisk{24 << 20};

  void make_image(std::uint64_t seed, std::vector<Range> off_grid = {}) {
    write_image(image_, kDisk, filesystem_like(seed, kDisk.bytes / 4096));
    chunker::ImportOptions options{.threads = 2, .level = 1, .progress = {}};
    options.off_grid = std::move(off_grid);
    auto report = chunker::import_image(*File::open(image_, O_RDONLY), {}, store_, options);
    ASSERT_DONE(report);
    image_id_ = report->image;
    auto manifest = chunker::load_manifest(store_, image_id_);
    ASSERT_DONE(manifest);
    plan_.emplace(*manifest);
    std::filesystem::copy_file(image_, disk_, std::filesystem::copy_options::overwrite_existing);
  }
  // Copies, swaps or damages a run of blocks of the disk.
  void disturb(Random& random) {
    constexpr std::uint64_t kBlocks = kDisk.bytes / 4096;
    const std::uint64_t length = 1 + random.below(600);
    const std::uint64_t from = random.below(kBlocks - length), to = random.below(kBlocks - length);
    Bytes run(length * 4096), other(length * 4096);
    auto file = File::open(disk_, O_RDWR);
    ASSERT_DONE(file);
    ASSERT_DONE(file->read_at({from * 4096}, run));
    ASSERT_DONE(file->read_at({to * 4096}, other));
    switch (random.below(3)) {
      case 0:
        ASSERT_DONE(file->write_at({to * 4096}, random_bytes(random.number(), 4096)));
        break;
      case 1:
        ASSERT_DONE(file->write_at({from * 4096}, other));
        [[fallthrough]];
      default:
        ASSERT_DONE(file->write_at({to * 4096}, run));
    }
  }
  void open(const disk::TargetOptions& options = {.slabs = 4, .depth = 4, .hash_threads = 2},
            std::uint32_t alignment = 512) {
    auto file = File::open(disk_, O_RDWR);
    ASSERT_DONE(file);
    disk::GuardedDisk guarded{*std::move(file), false, {}, true, false, alignment, std::nullopt, {}};
    guarded.identity.path = disk_;
    guarded.identity.size = kDisk;
    guarded.identity.sector_size = 512;
    auto target = disk::Target::open(std::move(guarded), kDisk, options);
    ASSERT_DONE(target);
    target_ = *std::move(target);
  }
  Survey look(Delta delta = Delta::always) {
    auto found = survey(*plan_, *target_, {delta, false, {}, kDisk, {}});
    EXPECT_DONE(found);
    return found ? *found : Survey{};
  }
  // Something to move on a disk of which all slabs are free.
  Survey begin_disturbed(std::uint64_t seed, disk::Faults faults = {}) {
    make_image(seed);
    SeededRandom random(seed);
    for (int i = 0; i < 12; ++i) disturb(random);
    open({.slabs = 32, .depth = 4, .hash_threads = 2, .faults = std::move(faults)});
    Survey found = look();
    EXPECT_FALSE(found.moves.empty());
    EXPECT_DONE(target_->begin({.image = {}, .deployment = {}, .started = 0, .disk_size = kDisk}));
    return found;
  }
  // Begins, and moves what was found; all of the bytes.
  Size move(const Survey& found) {
    EXPECT_DONE(target_->begin({.image = {}, .deployment = {}, .started = 0, .disk_size = kDisk}));
    Sources sources(*plan_, found.moves);
    const auto carried = carry_out(*plan_, *target_, found.moves, sources, [](auto) { return true; });
    EXPECT_DONE(carried);
    for (const Move& one : found.moves) EXPECT_TRUE(plan_->holds(one.chunk)) << "from " << one.from.bytes;
    return carried ? *carried : Size{};
  }
  void finish() {
    chunker::Opener opener;
    for (std::uint32_t span = 0; span < plan_->spans().size(); ++span)
      for (std::uint32_t i = 0; i < plan_->spans()[span].chunks.size(); ++i)
        if (!plan_->holds({{span}, i})) fetch(opener, {{span}, i});
    for (const auto& extent : plan_->zero_extents()) target_->zero(extent.offset, extent.length, [](const Result<>&) {});
    ASSERT_DONE(target_->flush());
    ASSERT_DONE(read_back(*target_, {*plan_, plan_->zero_extents(), Verify::data}, [](Size) { return true; }));
    ASSERT_DONE(target_->commit());
    EXPECT_TRUE(same_content(image_, disk_));
  }
  void fetch(chunker::Opener& opener, ChunkIndex index, Sources* sources = nullptr) {
    const auto& chunk = plan_->chunk(index);
    auto sealed = store_.get(chunk.id);
    ASSERT_DONE(sealed);
    disk::Slab slab;
    while (!(slab = target_->try_slab())) std::this_thread::yield();
    auto plain = opener.open({chunk.id, sealed->codec, chunk.length, sealed->bytes}, slab.bytes().first(chunk.length));
    ASSERT_DONE(plain);
    std::vector<disk::Placement> placements;
    plan_->add_placements(*plain, index, placements);
    const auto is_clear = [&](const disk::Placement& one) {
      return sources == nullptr || sources->are_clear_of({one.at, Size{one.chunk.bytes().size()}});
    };
    while (!std::ranges::all_of(placements, is_clear)) std::this_thread::yield();
    target_->place(std::move(slab), std::move(placements), [](const Result<>&) {});
  }

  Scratch folder_;
  const std::filesystem::path image_ = folder_.path() / "image", disk_ = folder_.path() / "disk";
  MemoryStore store_;
  chunker::ImageId image_id_;
  std::optional<Plan> plan_;
  std::unique_ptr<disk::Target> target_;
};

// Whatever was on the disk, it becomes the image; and what a survey says can be moved is still there when its turn comes.
TEST_F(SurveyTest, ADisturbedDiskBecomesTheImage) {
  Size kept, moved;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(seed);
    make_image(seed);
    SeededRandom random(seed);
    for (int i = 0; i < 8; ++i) disturb(random);
    // With fewer slabs than threads too.
    constexpr std::array<std::uint32_t, 6> kSlabs{1, 2, 3, 4, 32, 33};
    open({.slabs = kSlabs.at(seed - 1), .depth = 4, .hash_threads = 2});
    const Survey found = look();
    kept += found.kept;
    moved += move(found);
    finish();
    target_.reset();
  }
  EXPECT_GT(kept, kDisk);
  EXPECT_GT(moved * 16, kDisk);
}

// The same where files of the image lie off the grid of blocks, on disks whose blocks are sectors and larger.
TEST_F(SurveyTest, ADisturbedDiskBecomesAnImageThatIsPartlyOffTheGrid) {
  Size kept, moved;
  for (std::uint64_t seed = 21; seed <= 26; ++seed) {
    SCOPED_TRACE(seed);
    SeededRandom random(seed);
    std::vector<Range> off_grid;
    for (Offset at{(2 << 20) + 512 * random.below(9)}; at.bytes < kDisk.bytes - (2 << 20);) {
      off_grid.push_back({at, Size{512 * (128 + random.below(4000))}});
      at = off_grid.back().end() + Size{512 * random.below(3000)};
    }
    make_image(seed, off_grid);
    for (int i = 0; i < 8; ++i) disturb(random);
    open({.slabs = static_cast<std::uint32_t>(1 + seed % 4), .depth = 4, .hash_threads = 2}, seed % 2 == 0 ? 512 : 4096);
    const Survey found = look();
    kept += found.kept;
    moved += move(found);
    finish();
    target_.reset();
  }
  EXPECT_GT(kept, kDisk);
  EXPECT_GT(moved, 1_MiB);
}

// What comes by the network while chunks are moved is not written to where one is still to be read.
TEST_F(SurveyTest, WhatIsFetchedMeanwhileSparesTheSources) {
  Size moved;
  for (std::uint64_t seed = 11; seed <= 16; ++seed) {
    make_image(seed);
    SeededRandom random(seed);
    for (int i = 0; i < 12; ++i) disturb(random);
    open({.slabs = seed % 2 == 0 ? 6U : 32U, .depth = 4, .hash_threads = 2});
    const Survey found = look();
    ASSERT_DONE(target_->begin({.image = {}, .deployment = {}, .started = 0, .disk_size = kDisk}));
    Sources sources(*plan_, found.moves);
    std::vector<ChunkIndex> lacking;
    for (std::uint32_t span = 0; span < plan_->spans().size(); ++span)
      for (std::uint32_t i = 0; i < plan_->spans()[span].chunks.size(); ++i)
        if (const ChunkIndex at{{span}, i};
            !plan_->holds(at) && std::ranges::find(found.moves, at, &Move::chunk) == found.moves.end())
          lacking.push_back(at);
    std::thread network([&] {
      chunker::Opener opener;
      for (const ChunkIndex at : lacking) fetch(opener, at, &sources);
    });
    std::set<std::uint32_t> with_moves, settled;
    for (const Move& move : found.moves) with_moves.insert(move.chunk.span.value);
    auto carried = carry_out(*plan_, *target_, found.moves, sources, [&](std::span<const chunker::SpanIndex> spans) {
      for (const auto span : spans) EXPECT_TRUE(settled.insert(span.value).second);
      for (const Move& move : found.moves)
        if (settled.contains(move.chunk.span.value)) EXPECT_TRUE(plan_->holds(move.chunk));
      return true;
    });
    network.join();
    EXPECT_EQ(settled, with_moves);
    ASSERT_DONE(carried);
    for (const Move& move : found.moves)
      EXPECT_TRUE(plan_->holds(move.chunk)) << "seed " << seed << ", from " << move.from.bytes;
    moved += *carried;
    for (const ChunkIndex at : lacking) plan_->hold(at);
    finish();
    target_.reset();
  }
  EXPECT_GT(moved * 16, kDisk);
}

TEST_F(SurveyTest, MovesCanBeInterrupted) {
  for (const int calls : {1, 2}) {
    const Survey found = begin_disturbed(17);
    Sources sources(*plan_, found.moves);
    int called = 0;
    const auto carried = carry_out(*plan_, *target_, found.moves, sources, [&](auto) { return ++called < calls; });
    ASSERT_FALSE(carried);
    EXPECT_EQ(carried.error().code, Code::interrupted);
    EXPECT_EQ(target_->free_slabs(), 32U);
    target_.reset();
  }
}

// Their spans are not said to be over; flush() tells why.
TEST_F(SurveyTest, MovesWhoseWritesFailAreNotHeld) {
  std::atomic<bool> broken = false;
  const Survey found = begin_disturbed(18, [&](const disk::Operation& operation) {
    return disk::Fault{.error = broken && operation.kind == disk::Operation::Kind::write ? EIO : 0};
  });
  broken = true;
  Sources sources(*plan_, found.moves);
  const auto carried = carry_out(*plan_, *target_, found.moves, sources, [&](auto spans) {
    EXPECT_TRUE(spans.empty());
    return true;
  });
  ASSERT_DONE(carried);
  EXPECT_EQ(*carried, Size{});
  for (const Move& one : found.moves) EXPECT_FALSE(plan_->holds(one.chunk));
  EXPECT_EQ(target_->free_slabs(), 32U);
  EXPECT_FALSE(target_->flush());
}

TEST_F(SurveyTest, NothingIsReadWhereItWasSaidOrIsNotWorthIt) {
  make_image(3);
  open();
  EXPECT_EQ(look(Delta::never).read, Size{});
  EXPECT_EQ(plan_->held_spans().count(), 0U);
  write_image(disk_, kDisk, {});
  EXPECT_EQ(look(Delta::automatic).read, Size{});
}

TEST_F(SurveyTest, OfTheImageItselfAllIsKeptButTheCommitRegion) {
  make_image(4);
  open();
  const Survey found = look(Delta::automatic);
  EXPECT_GT(found.kept + 2_MiB, plan_->data());
  EXPECT_LT(found.kept, plan_->data());
  for (const Place& place : plan_->places())
    if (target_->holds_back(place.at, place.length)) EXPECT_FALSE(plan_->holds(place.chunk));
}

// What was on the disk before is not believed by a fingerprint, which can be forged.
TEST_F(SurveyTest, AKnownFingerprintProvesNothing) {
  make_image(8);
  open();
  const auto place = std::ranges::find_if(plan_->places(), [&](const Place& one) {
    return one.at.bytes > (4_MiB).bytes && !target_->holds_back(one.at, one.length);
  });
  ASSERT_NE(place, plan_->places().end());
  const Bytes other = random_bytes(1, place->length.bytes);
  auto file = File::open(disk_, O_RDWR);
  ASSERT_DONE(file);
  ASSERT_DONE(file->write_at(place->at, other));
  plan_->remember(place->chunk, chunker::fingerprint(other));
  look();
  EXPECT_FALSE(plan_->holds(place->chunk));
}

// Nobody needs what cannot be read: it is fetched.
TEST_F(SurveyTest, WhatCannotBeReadIsNotThere) {
  make_image(9);
  std::atomic<bool> broken = true;
  disk::TargetOptions options{.slabs = 4, .depth = 4, .hash_threads = 2};
  options.faults = [&](const disk::Operation& operation) {
    return disk::Fault{.error = broken && operation.kind == disk::Operation::Kind::read ? EIO : 0};
  };
  open(options);
  const auto journal = target_->journal({}, 8);
  ASSERT_DONE(journal);
  EXPECT_FALSE(*journal);
  broken = false;
  std::filesystem::resize_file(disk_, kDisk.bytes / 2);
  const Survey found = look();
  EXPECT_GT(found.kept, Size{});
  EXPECT_LT(found.kept.bytes, kDisk.bytes / 2);
  EXPECT_LE(found.read.bytes, kDisk.bytes / 2);
  std::filesystem::resize_file(disk_, kDisk.bytes);
  ASSERT_DONE(target_->begin({.image = {}, .deployment = {}, .started = 0, .disk_size = kDisk}));
  Sources sources(*plan_, found.moves);
  ASSERT_DONE(carry_out(*plan_, *target_, found.moves, sources, [](auto) { return true; }));
  finish();
}

// Memory between two pages that nobody may read stands for a disk with a bad sector.
TEST(ReadWhatCanBe, TheRestOfItIsThere) {
  constexpr std::size_t kPart = 256UL << 10;
  auto* const all =
      static_cast<std::byte*>(::mmap(nullptr, 3 * kPart, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(all, MAP_FAILED);
  std::fill_n(all, 3 * kPart, std::byte{7});
  ASSERT_EQ(::munmap(all + kPart, kPart), 0);
  auto memory = File::open("/proc/self/mem", O_RDONLY);
  ASSERT_DONE(memory);
  Bytes out(3 * kPart, std::byte{9});
  const disk::FileReader reader(*std::move(memory));
  EXPECT_EQ(read_what_can_be(reader, {reinterpret_cast<std::uintptr_t>(all)}, out), out.size());
  const auto part = [&](std::size_t i) { return ByteView(out).subspan(i * kPart, kPart); };
  EXPECT_TRUE(std::ranges::all_of(part(0), [](std::byte b) { return b == std::byte{7}; }));
  EXPECT_TRUE(all_zero(part(1)));
  EXPECT_TRUE(std::ranges::equal(part(0), part(2)));
  ::munmap(all, kPart);
  ::munmap(all + 2 * kPart, kPart);
}

// Of an interrupted deployment: what its journal names, and more only where more is there.
TEST_F(SurveyTest, AJournalSaysWhatToRead) {
  make_image(6);
  Bitmap journal(static_cast<std::uint32_t>(plan_->spans().size()));
  for (std::uint32_t i = 0; i < 3; ++i) journal.set(i);
  const auto bytes = read_file(image_, kDisk);
  ASSERT_DONE(bytes);
  write_image(disk_, kDisk, {});
  auto file = File::open(disk_, O_RDWR);
  ASSERT_DONE(file);
  for (const Place& place : plan_->places())
    if (place.chunk.span.value == 2)
      ASSERT_DONE(file->write_at(place.at, ByteView(*bytes).subspan(place.at.bytes, place.length.bytes)));
  open();
  const auto found = survey(*plan_, *target_, {Delta::automatic, true, journal, kDisk, {}});
  ASSERT_DONE(found);
  EXPECT_LT(found->read, plan_->data());
  EXPECT_TRUE(plan_->held_spans().test(2));
  EXPECT_GT(found->lost, 0U) << "span 1 is not there";
  const auto all = survey(*plan_, *target_, {Delta::automatic, true, {}, kDisk, {}});
  ASSERT_DONE(all);
  EXPECT_GE(all->read + 2_MiB, plan_->data());
}

// A survey that knows of an image that the disk was given.
class FormerTest : public SurveyTest {
 protected:
  // What the disk holds now becomes that image.
  void import_former() {
    const auto report =
        chunker::import_image(*File::open(disk_, O_RDONLY), {}, store_, {.threads = 2, .level = 1, .progress = {}});
    ASSERT_DONE(report);
    auto manifest = chunker::load_manifest(store_, report->image);
    ASSERT_DONE(manifest);
    former_.emplace(*plan_, *std::move(manifest));
  }
  Survey look_by_former() {
    auto found = survey(*plan_, *target_, {.delta = Delta::automatic, .image = kDisk, .progress = {}, .former = &*former_});
    EXPECT_DONE(found);
    return found ? *found : Survey{};
  }
  void write(Offset at, ByteView bytes) {
    auto file = File::open(disk_, O_RDWR);
    ASSERT_DONE(file);
    ASSERT_DONE(file->write_at(at, bytes));
  }
  std::optional<Former> former_;
};

TEST_F(FormerTest, ItsManifestSaysWhatMoves) {
  Size read, moved, kept, surveyed, moved_by_survey;
  for (std::uint64_t seed = 31; seed <= 36; ++seed) {
    SCOPED_TRACE(seed);
    make_image(seed);
    SeededRandom random(seed);
    for (int i = 0; i < 8; ++i) disturb(random);
    import_former();
    open();
    const Survey all = look(Delta::always);
    surveyed += all.read;
    for (const Move& move : all.moves) moved_by_survey += plan_->placed_size(move.chunk);
    plan_.emplace(*chunker::load_manifest(store_, image_id_));
    import_former();
    const Survey found = look_by_former();
    read += found.read;
    kept += found.kept;
    EXPECT_LE(found.kept, all.kept);
    moved += move(found);
    finish();
    target_.reset();
  }
  EXPECT_LT(read, surveyed);
  EXPECT_GT(kept, kDisk);
  EXPECT_GT(moved.bytes * 10, moved_by_survey.bytes * 9);
}

// What it says is a hint: of chunks that are not there (any more) none is kept, nor moved.
TEST_F(FormerTest, WhatItSaysIsNotBelieved) {
  make_image(37);
  SeededRandom random(37);
  for (int i = 0; i < 8; ++i) disturb(random);
  import_former();
  for (std::uint64_t at = (5_MiB).bytes; at < kDisk.bytes; at += (7_MiB).bytes) write({at}, random_bytes(at, 9000));
  open();
  const auto there = former_->is_there(*target_);
  ASSERT_TRUE(there && *there);
  const Survey found = look_by_former();
  EXPECT_TRUE(found.by_former);
  ASSERT_DONE(target_->begin({.image = {}, .deployment = {}, .started = 0, .disk_size = kDisk}));
  Sources sources(*plan_, found.moves);
  ASSERT_DONE(carry_out(*plan_, *target_, found.moves, sources, [](auto) { return true; }));
  finish();
}

// Where a scan saw that a chunk has rotted it is not moved from there, but from where else that image has it.
TEST_F(FormerTest, WhatWasSeenToBeWrongIsNotMoved) {
  make_image(39);
  import_former();
  std::vector<Offset> rotten;
  for (const Place& place : plan_->places())
    if (place.at.bytes > (3_MiB).bytes && place.at.bytes < kDisk.bytes - (1_MiB).bytes && rotten.size() < 3 &&
        (rotten.empty() || place.at.bytes > rotten.back().bytes + (6_MiB).bytes)) {
      rotten.push_back(place.at);
      write(place.at, random_bytes(place.at.bytes, 512));
    }
  ASSERT_EQ(rotten.size(), 3U);
  open();
  const Survey found = look_by_former();
  EXPECT_TRUE(found.by_former);
  for (const Move& one : found.moves) EXPECT_EQ(std::ranges::find(rotten, one.from), rotten.end());
  move(found);
  finish();
}

// A machine that was brought to the new image in place holds more of it than its receipt says.
TEST_F(FormerTest, WhatItHasNowhereStaysWhereItStands) {
  make_image(40);
  write({8 << 20}, random_bytes(40, 500'000));
  write({15 << 20}, random_bytes(41, 500'000));
  import_former();
  std::filesystem::copy_file(image_, disk_, std::filesystem::copy_options::overwrite_existing);
  open();
  const Size all = look(Delta::always).kept;
  plan_.emplace(*chunker::load_manifest(store_, image_id_));
  const Survey found = look_by_former();
  EXPECT_TRUE(found.by_former);
  EXPECT_GE(found.kept + move(found), all);
  finish();
}

// Of an image that is larger than the disk nothing is asked of the disk.
TEST_F(FormerTest, ALargerDisksImageIsNotThere) {
  make_image(41);
  write_image(disk_, kDisk + 8_MiB, filesystem_like(42, (kDisk + 8_MiB).bytes / 4096));
  import_former();
  std::filesystem::copy_file(image_, disk_, std::filesystem::copy_options::overwrite_existing);
  open();
  const auto there = former_->is_there(*target_);
  ASSERT_DONE(there);
  EXPECT_FALSE(*there);
  EXPECT_GT(look_by_former().kept + 2_MiB, plan_->data());
}

// A disk that holds something else is looked at as if nobody had said anything.
TEST_F(FormerTest, ADiskThatHoldsSomethingElseIsSurveyed) {
  make_image(38);
  SeededRandom random(38);
  for (int i = 0; i < 8; ++i) disturb(random);
  import_former();
  write_image(disk_, kDisk, {});
  open();
  EXPECT_FALSE(*former_->is_there(*target_));
  const Survey nothing = look_by_former();
  EXPECT_EQ(nothing.read, Size{});
  EXPECT_TRUE(nothing.moves.empty());
}

TEST_F(SurveyTest, EndsWhenItIsTold) {
  make_image(5);
  open();
  const auto found = survey(*plan_, *target_, {Delta::always, false, {}, kDisk, [](Size) { return false; }});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::interrupted);
}

}  // namespace
}  // namespace stampede::deploy

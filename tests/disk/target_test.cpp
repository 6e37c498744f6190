#include "src/disk/target.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <set>
#include <thread>

#include "src/disk/commit_region.h"
#include "tests/disk/sample_image.h"
#include "tests/disk/scratch.h"

namespace stampede::disk {
namespace {

// Where two disks differ first, for a message that helps.
::testing::AssertionResult same(ByteView got, ByteView wanted) {
  if (got.size() != wanted.size())
    return ::testing::AssertionFailure() << got.size() << " bytes instead of " << wanted.size();
  const auto [at, _] = std::ranges::mismatch(got, wanted);
  if (at == got.end()) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "differ at byte " << at - got.begin();
}

Bytes saved_of(ByteView disk, Size image) {
  Bytes saved;
  for (const Range& range : commit_ranges({disk.size()}, image)) {
    const ByteView part = disk.subspan(range.at.bytes, range.length.bytes);
    saved.insert(saved.end(), part.begin(), part.end());
  }
  return saved;
}

// What is on the disk between begin() and commit().
Bytes held_back(Bytes deployed, Size image) {
  for (const Range& range : commit_ranges({deployed.size()}, image))
    std::fill_n(deployed.begin() + static_cast<long>(range.at.bytes), range.length.bytes, std::byte{0});
  if (deployed.size() >= 8192) std::ranges::copy(encode_mark(sample_record({deployed.size()})), deployed.begin());
  return deployed;
}

// The whole life of a target, compared with the model at each stage. `path` is where its bytes are read from.
void deploy_and_check(GuardedDisk disk, const std::filesystem::path& path, const SampleImage& image) {
  const Size size = disk.identity.size;
  const Bytes before = content_of(path);
  const Bytes wanted = image.over(before, size);
  auto target = Target::open(std::move(disk), image.size(), {.slabs = 4, .depth = 4});
  ASSERT_TRUE(target) << target.error().message;
  const auto saved = (*target)->begin(sample_record(size));
  ASSERT_TRUE(saved) << saved.error().message;
  EXPECT_TRUE(same(*saved, saved_of(before, image.size())));

  const auto moved = transfer(**target, image);
  ASSERT_TRUE(moved) << moved.error().message;
  ASSERT_TRUE((*target)->flush());
  EXPECT_TRUE(same(content_of(path), held_back(wanted, image.size())));
  EXPECT_EQ((*target)->free_slabs(), 4U);

  const auto expected = image.expected();
  const auto compared = (*target)->compare(expected, {});
  ASSERT_TRUE(compared) << compared.error().message;
  EXPECT_EQ(std::ranges::count(*compared, false), 0);
  Bytes view(size.bytes);
  ASSERT_TRUE((*target)->blocks().read({}, view));
  EXPECT_TRUE(same(view, wanted));

  const auto committed = (*target)->commit();
  ASSERT_TRUE(committed) << committed.error().message;
  EXPECT_TRUE(same(content_of(path), wanted));
  const auto again = (*target)->compare(expected, {});
  ASSERT_TRUE(again);
  EXPECT_EQ(std::ranges::count(*again, false), 0);
}

class FileTarget : public ::testing::TestWithParam<std::pair<std::uint64_t, std::uint64_t>> {};  // disk, image

TEST_P(FileTarget, HoldsTheImage) {
  const auto [disk, image_size] = GetParam();
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    SeededRandom random(seed * 1000 + disk);
    const Scratch folder;
    const auto path = folder.path() / "disk";
    put(path, random_bytes(random, disk));
    deploy_and_check(guarded_file(path, {disk}), path, make_image(random, {image_size}));
  }
}

constexpr std::uint64_t kMiB = 1024 * 1024;
INSTANTIATE_TEST_SUITE_P(Sizes, FileTarget,
                         ::testing::Values(std::pair{0UL, 0UL}, std::pair{1UL, 1UL}, std::pair{511UL, 511UL},
                                           std::pair{512UL, 512UL}, std::pair{1024UL, 1000UL}, std::pair{4096UL, 4096UL},
                                           std::pair{8191UL, 8191UL}, std::pair{8192UL, 8192UL}, std::pair{8193UL, 1UL},
                                           std::pair{12288UL, 0UL}, std::pair{kMiB, kMiB}, std::pair{kMiB + 1, kMiB + 1},
                                           std::pair{6 * kMiB, 6 * kMiB}, std::pair{6 * kMiB, 4 * kMiB + 512},
                                           std::pair{6 * kMiB + 1, 5 * kMiB + 4097}));

// Where blocks are larger than the sectors at which chunks begin, those that two share are read and written back.
TEST(Target, ChunksMayBeginBetweenBlocks) {
  for (const std::uint32_t alignment : {512U, 4096U}) {
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
      SeededRandom random(seed);
      const Scratch folder;
      const auto path = folder.path() / "disk";
      put(path, random_bytes(random, 6 * kMiB));
      GuardedDisk disk = guarded_file(path, {6 * kMiB});
      disk.alignment = alignment;
      deploy_and_check(std::move(disk), path, make_image(random, {6 * kMiB - 512}, {512}));
    }
  }
}

TEST(Target, AFileMadeByThisRunKeepsItsHoles) {
  SeededRandom random(5);
  const Scratch folder;
  const auto path = folder.path() / "disk";
  const SampleImage image = make_image(random, 6_MiB);
  deploy_and_check(guarded_file(path, 8_MiB, true), path, image);
  EXPECT_LT(std::stoull(run("stat -c %b " + path.string()).output) * 512, (8_MiB).bytes);
}

TEST(Target, LoopDeviceHoldsTheImage) {
  for (const std::uint32_t sector : {512U, 4096U}) {
    SeededRandom random(sector);
    const Scratch folder;
    const auto path = folder.path() / "disk";
    put(path, random_bytes(random, 8 * kMiB));
    const auto device = LoopDevice::make(path, 8_MiB, sector);
    NEED_LOOP(device);
    // The backing file sees what the device was given: direct I/O, no page cache of the device's in between.
    deploy_and_check(guarded_device(device->path(), 8_MiB, sector), path, make_image(random, 7_MiB, {512}));
  }
}

TEST(Target, ZerosOnALoopDeviceTakeNoSpaceInItsFile) {
  SeededRandom random(6);
  const Scratch folder;
  const auto path = folder.path() / "disk";
  put(path, random_bytes(random, 8 * kMiB));
  const auto device = LoopDevice::make(path, 8_MiB);
  NEED_LOOP(device);
  auto target = Target::open(guarded_device(device->path(), 8_MiB), 8_MiB, {.slabs = 1, .depth = 1});
  ASSERT_TRUE(target) << target.error().message;
  ASSERT_TRUE((*target)->begin(sample_record(8_MiB)));
  Waiter waiter;
  (*target)->zero({2 * kMiB}, 5_MiB, waiter.expect_one());
  ASSERT_TRUE(waiter.wait());
  ASSERT_TRUE((*target)->flush());
  const Bytes disk = content_of(path);
  EXPECT_TRUE(all_zero(ByteView(disk).subspan(2 * kMiB, 5 * kMiB)));
  EXPECT_FALSE(all_zero(ByteView(disk).subspan(kMiB, kMiB)));
  EXPECT_LE(std::stoull(run("stat -c %b " + path.string()).output) * 512, 3 * kMiB + 64 * 1024);
}

class Opened : public ::testing::Test {
 protected:
  void open(Size size, TargetOptions options = {.slabs = 4, .depth = 4}) {
    path_ = folder_.path() / "disk";
    auto target = Target::open(guarded_file(path_, size), size, options);
    ASSERT_TRUE(target) << target.error().message;
    target_ = std::move(*target);
  }
  Result<> place(ByteView bytes, std::vector<Offset> at, std::size_t in_slab = 0) {
    Slab slab = target_->try_slab();
    EXPECT_TRUE(slab);
    const MutableBytes there = slab.bytes().subspan(in_slab, bytes.size());
    std::ranges::copy(bytes, there.begin());
    chunker::Digester digester;
    std::vector<Placement> placements;
    for (const Offset offset : at) placements.push_back({digester.name(there), offset});
    Waiter waiter;
    target_->place(std::move(slab), std::move(placements), waiter.expect_one());
    return waiter.wait();
  }
  const Scratch folder_;
  std::filesystem::path path_;
  std::unique_ptr<Target> target_;
  SeededRandom random_{3};
};

TEST_F(Opened, NothingIsWrittenBeforeBegin) {
  open(4_MiB);
  EXPECT_EQ(place(Bytes(4096), {{2 * kMiB}}).error().code, Code::internal);
  EXPECT_FALSE(target_->blocks().write({}, Bytes(1)));
  EXPECT_FALSE(target_->commit());
}

TEST_F(Opened, WhatTheCommitRegionHeldIsSavedFirst) {
  put(folder_.path() / "disk", random_bytes(random_, 4 * kMiB));
  const Bytes before = content_of(folder_.path() / "disk");
  std::vector<Patch> saved;
  open(4_MiB, {.slabs = 4, .depth = 4, .save = [&](const Rescue& now) {
                 EXPECT_TRUE(same(content_of(path_), before));
                 saved = now.runs;
                 return Result<>{};
               }});
  ASSERT_TRUE(target_->begin(sample_record(4_MiB)));
  ASSERT_EQ(saved.size(), 2U);
  for (const Patch& patch : saved)
    EXPECT_TRUE(same(patch.bytes, ByteView(before).subspan(patch.at.bytes, patch.bytes.size())));
}

TEST_F(Opened, ZerosAreNotSaved) {
  open(4_MiB, {.slabs = 4, .depth = 4, .save = [](const auto&) { return fail(Code::no_space, "full"); }});
  EXPECT_TRUE(target_->begin(sample_record(4_MiB)));
}

TEST_F(Opened, WithoutASavedRegionNothingIsWritten) {
  put(folder_.path() / "disk", random_bytes(random_, 4 * kMiB));
  const Bytes before = content_of(folder_.path() / "disk");
  open(4_MiB, {.slabs = 4, .depth = 4, .save = [](const auto&) { return fail(Code::no_space, "full"); }});
  EXPECT_EQ(target_->begin(sample_record(4_MiB)).error().code, Code::no_space);
  EXPECT_TRUE(same(content_of(path_), before));
}

TEST_F(Opened, PlacementBeyondTheEndIsAnError) {
  open(4_MiB);
  ASSERT_TRUE(target_->begin(sample_record(4_MiB)));
  EXPECT_EQ(place(Bytes(8192), {{4 * kMiB - 4096}}).error().code, Code::internal);
  EXPECT_FALSE(target_->flush());  // and it is not forgotten
  EXPECT_FALSE(target_->commit());
}

// One chunk is moved there while its whole span comes by the network too: neither undoes what the other wrote of the block
// that it shares with the next chunk.
TEST_F(Opened, ChunksThatShareABlockMayBePlacedTwiceAtOnce) {
  path_ = folder_.path() / "disk";
  GuardedDisk disk = guarded_file(path_, 4_MiB);
  disk.alignment = 4096;
  auto target = Target::open(std::move(disk), 4_MiB, {.slabs = 4, .depth = 4});
  ASSERT_TRUE(target) << target.error().message;
  ASSERT_TRUE((*target)->begin(sample_record(4_MiB)));
  constexpr std::size_t kFirst = (64 << 10) + 512, kBoth = 128 << 10;
  for (std::uint64_t i = 0; i < 40; ++i) {
    const Bytes bytes = random_bytes(random_, kBoth);
    const Offset at{2 * kMiB};
    const auto place = [&](std::size_t first, std::size_t count) {
      for (int times = 0; times < 10; ++times) {
        Slab slab;
        while (!(slab = (*target)->try_slab())) std::this_thread::yield();
        std::ranges::copy(bytes, slab.bytes().begin());
        chunker::Digester digester;
        const std::array chunks{slab.bytes().first(kFirst), slab.bytes().subspan(kFirst, kBoth - kFirst)};
        std::vector<Placement> placements;
        for (std::size_t n = first; n < first + count; ++n)
          placements.push_back({digester.name(chunks.at(n)), n == 0 ? at : at + Size{kFirst}});
        Waiter waiter;
        (*target)->place(std::move(slab), std::move(placements), waiter.expect_one());
        EXPECT_TRUE(waiter.wait());
      }
    };
    {
      const std::jthread moved([&] { place(0, 1); });
      place(0, 2);
    }
    ASSERT_TRUE(same(ByteView(content_of(path_)).subspan(at.bytes, kBoth), bytes)) << i;
  }
}

// What shares a block with it cannot be read, so it cannot be kept.
TEST_F(Opened, AnEdgeThatCannotBeReadIsAnError) {
  std::atomic<bool> broken = false;
  TargetOptions options{.slabs = 4, .depth = 4};
  options.faults = [&](const Operation& operation) {
    return Fault{.error = broken && operation.kind == Operation::Kind::read ? EIO : 0};
  };
  open(4_MiB, options);
  ASSERT_TRUE(target_->begin(sample_record(4_MiB)));
  ASSERT_TRUE(place(Bytes(4096), {{2 * kMiB + 512}}));
  broken = true;
  const auto placed = place(Bytes(4096), {{2 * kMiB + 512}});
  ASSERT_FALSE(placed);
  EXPECT_EQ(placed.error().code, Code::read_failed);
  EXPECT_FALSE(target_->flush());
}

// The same for certain: the whole begins when the part has been read and is about to be written back.
TEST_F(Opened, ABlockIsNotWrittenWholeWhileAPartOfItIs) {
  constexpr std::size_t kFirst = (64 << 10) + 512;
  constexpr Offset kAt{2 * kMiB}, kShared{2 * kMiB + (64 << 10)};
  const Bytes bytes = random_bytes(random_, 128 << 10);
  const auto place_chunks = [&](std::size_t count, std::function<void(Result<>)> done) {
    Slab slab = target_->try_slab();
    ASSERT_TRUE(slab);
    std::ranges::copy(bytes, slab.bytes().begin());
    chunker::Digester digester;
    std::vector<Placement> placements{{digester.name(slab.bytes().first(kFirst)), kAt}};
    if (count == 2)
      placements.push_back({digester.name(slab.bytes().subspan(kFirst, bytes.size() - kFirst)), kAt + Size{kFirst}});
    target_->place(std::move(slab), std::move(placements), std::move(done));
  };
  std::atomic<bool> armed = false, whole = false, whole_meanwhile = false;
  std::jthread other;
  TargetOptions options{.slabs = 4, .depth = 4};
  options.faults = [&](const Operation& operation) {
    if (operation.kind != Operation::Kind::write || operation.at != kShared.bytes || operation.size != 4096 ||
        !armed.exchange(false))
      return Fault{};
    other = std::jthread([&] { place_chunks(2, [&](const Result<>& result) { whole = result.has_value(); }); });
    for (int i = 0; i < 30 && !whole; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    whole_meanwhile = whole.load();
    return Fault{};
  };
  path_ = folder_.path() / "disk";
  GuardedDisk disk = guarded_file(path_, 4_MiB);
  disk.alignment = 4096;
  auto opened = Target::open(std::move(disk), 4_MiB, options);
  ASSERT_TRUE(opened) << opened.error().message;
  target_ = std::move(*opened);
  ASSERT_TRUE(target_->begin(sample_record(4_MiB)));
  armed = true;
  Waiter part;
  place_chunks(1, part.expect_one());
  EXPECT_TRUE(part.wait());
  ASSERT_TRUE(other.joinable()) << "no part was written";
  other.join();
  EXPECT_FALSE(whole_meanwhile);
  ASSERT_TRUE(target_->flush());
  EXPECT_TRUE(whole);
  EXPECT_TRUE(same(ByteView(content_of(path_)).subspan(kAt.bytes, bytes.size()), bytes));
}

TEST_F(Opened, ChunkOffAlignmentInItsSlabIsPutTogetherElsewhere) {
  for (const bool slabs_are_free : {true, false}) {
    open(4_MiB);
    ASSERT_TRUE(target_->begin(sample_record(4_MiB)));
    std::vector<Slab> taken;
    while (!slabs_are_free && target_->free_slabs() > 1) taken.push_back(target_->try_slab());
    const Bytes bytes = random_bytes(random_, 8192);
    ASSERT_TRUE(place(bytes, {{2 * kMiB}, {3 * kMiB}, {3 * kMiB + 12288 + 512}}, 1000));
    taken.clear();
    ASSERT_TRUE(target_->flush());
    const Bytes disk = content_of(path_);
    EXPECT_TRUE(same(ByteView(disk).subspan(2 * kMiB, 8192), bytes));
    EXPECT_TRUE(same(ByteView(disk).subspan(3 * kMiB, 8192), bytes));
    EXPECT_TRUE(same(ByteView(disk).subspan(3 * kMiB + 12288 + 512, 8192), bytes));
    EXPECT_EQ(target_->free_slabs(), 4U);
    target_.reset();
  }
}

TEST_F(Opened, SlabsAreTheCredit) {
  open(4_MiB);
  std::atomic<int> freed = 0;
  target_->on_slab_free([&] { ++freed; });
  std::vector<Slab> slabs;
  std::set<std::uint32_t> indices;
  for (int i = 0; i < 4; ++i) {
    slabs.push_back(target_->try_slab());
    ASSERT_TRUE(slabs.back());
    EXPECT_EQ(slabs.back().bytes().size(), kSlab.bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(slabs.back().bytes().data()) % 4096, 0U);
    indices.insert(slabs.back().index());
  }
  EXPECT_EQ(indices.size(), 4U);
  EXPECT_FALSE(target_->try_slab());
  EXPECT_EQ(target_->free_slabs(), 0U);
  slabs.pop_back();
  EXPECT_EQ(freed, 1);
  EXPECT_TRUE(target_->try_slab());  // and back at once
  slabs.clear();
  EXPECT_EQ(target_->free_slabs(), 4U);
}

TEST_F(Opened, WrittenCountsPlacedZeroedAndEdited) {
  open(4_MiB);
  ASSERT_TRUE(target_->begin(sample_record(4_MiB)));
  EXPECT_EQ(target_->written(), 0_B);
  ASSERT_TRUE(place(random_bytes(random_, 4096), {{0}, {2 * kMiB}}));  // one into the commit region
  Waiter waiter;
  target_->zero({kMiB}, 64_KiB, waiter.expect_one());
  ASSERT_TRUE(waiter.wait());
  ASSERT_TRUE(target_->blocks().write({kMiB - 1}, Bytes(3)));
  ASSERT_TRUE(target_->flush());
  EXPECT_EQ(target_->written(), 8_KiB + 64_KiB + 3_B);
}

TEST_F(Opened, EditsGoByByteToDiskAndCommitRegion) {
  open(4_MiB);
  ASSERT_TRUE(target_->begin(sample_record(4_MiB)));
  Bytes model(4 * kMiB);
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t at = random_.below(model.size());
    const Bytes bytes = random_bytes(random_, random_.below(std::min<std::uint64_t>(model.size() - at, 600'000)) + 1);
    ASSERT_TRUE(target_->blocks().write({at}, bytes));
    std::ranges::copy(bytes, model.begin() + static_cast<long>(at));
    Bytes read(random_.below(10'000));
    const std::uint64_t from = random_.below(model.size() - read.size());
    ASSERT_TRUE(target_->blocks().read({from}, read));
    ASSERT_TRUE(same(read, ByteView(model).subspan(from, read.size())));
  }
  EXPECT_FALSE(target_->blocks().write({model.size() - 1}, Bytes(2)));
  Bytes beyond(2);
  EXPECT_FALSE(target_->blocks().read({model.size() - 1}, beyond));
  ASSERT_TRUE(target_->blocks().flush());
  ASSERT_TRUE(target_->commit());
  EXPECT_TRUE(same(content_of(path_), model));
}

TEST_F(Opened, ManyThreadsMayPlace) {
  open(64_MiB);
  ASSERT_TRUE(target_->begin(sample_record(64_MiB)));
  const Bytes bytes = random_bytes(random_, kMiB);
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Waiter waiter;
      chunker::Digester digester;
      for (std::uint64_t i = 0; i < 8; ++i) {
        Slab slab;
        while (!(slab = target_->try_slab())) std::this_thread::yield();
        std::ranges::copy(bytes, slab.bytes().begin());
        const Offset at{(t * 8 + i) * 2 * kMiB};
        target_->zero(at + 1_MiB, 1_MiB, waiter.expect_one());
        const auto chunk = digester.name(slab.bytes());
        target_->place(std::move(slab), {{chunk, at}}, waiter.expect_one());
      }
      EXPECT_TRUE(waiter.wait());
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(target_->commit());
  const Bytes disk = content_of(path_);
  for (std::uint64_t at = 0; at < disk.size(); at += 2 * kMiB) {
    ASSERT_TRUE(same(ByteView(disk).subspan(at, kMiB), bytes));
    ASSERT_TRUE(all_zero(ByteView(disk).subspan(at + kMiB, kMiB)));
  }
}

TEST_F(Opened, GoingAwayEndsWhatIsQueued) {
  open(64_MiB);
  ASSERT_TRUE(target_->begin(sample_record(64_MiB)));
  std::atomic<int> called = 0;
  for (std::uint64_t i = 0; i < 4; ++i) {
    Slab slab = target_->try_slab();
    const auto chunk = chunker::Digester().name(slab.bytes());
    target_->place(std::move(slab), {{chunk, {(i + 1) * 2 * kMiB}}}, [&](Result<>) { ++called; });
    target_->zero({(i + 1) * 2 * kMiB + kMiB}, 1_MiB, [&](Result<>) { ++called; });
  }
  target_.reset();
  EXPECT_EQ(called, 8);
}

TEST_F(Opened, AnImageLargerThanTheDiskIsRefused) {
  const auto target = Target::open(guarded_file(folder_.path() / "small", 1_MiB), 2_MiB);
  ASSERT_FALSE(target);
  EXPECT_EQ(target.error().code, Code::too_small);
}

}  // namespace
}  // namespace stampede::disk

#include "src/disk/rescue.h"

#include <fcntl.h>
#include <gmock/gmock.h>

#include <algorithm>

#include "chunker/digest.h"
#include "src/disk/restore.h"
#include "src/disk/stale.h"
#include "src/disk/table_ranges.h"
#include "tests/disk/sample_image.h"
#include "tests/disk/scratch.h"
#include "tests/disk/signatures.h"
#include "tests/disk/table_model.h"

namespace stampede::disk {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr Size kDisk = 16_MiB, kImage = 8_MiB;

std::string refusal(const auto& result, Code code) {
  EXPECT_FALSE(result);
  if (result) return "";
  EXPECT_EQ(result.error().code, code) << result.error().message;
  return result.error().message;
}

Rescue sample() {
  Rescue rescue;
  rescue.deployment.fill(std::byte{0x11});
  rescue.saved = 1'700'000'000;
  rescue.disk = {.path = "/dev/sda", .model = "M", .serial = "S1", .wwn = "naa.5", .guid = "g", .size = kDisk};
  rescue.image_size = kImage;
  Bytes mixed(3 * 4096);
  mixed[4096] = std::byte{0xAB};
  rescue.runs = {{{0}, mixed}, {{kDisk.bytes - 512}, Bytes(512)}};
  return rescue;
}

// --- the file

TEST(Rescue, HasItsBytes) {
  const Bytes bytes = encode(sample());
  const std::string head =
      "53544d5052455343"
      "0100"
      "0000"
      "04000000"
      "11111111111111111111111111111111"
      "00f1536500000000"
      "0000000100000000"
      "0000800000000000"
      "00020000"
      "00000000"
      "08000000"
      "2f6465762f736461"
      "01000000"
      "4d"
      "02000000"
      "5331"
      "05000000"
      "6e61612e35"
      "01000000"
      "67"
      "0000000000000000"
      "0010000000000000"
      "00"
      "0010000000000000"
      "0010000000000000"
      "01"
      "0020000000000000"
      "0010000000000000"
      "00"
      "00feff0000000000"
      "0002000000000000"
      "00"
      "ab00";
  EXPECT_EQ(to_hex(bytes).substr(0, head.size()), head);
  EXPECT_EQ(bytes.size(), head.size() / 2 - 2 + 4096 + 32);
  EXPECT_EQ(to_hex(chunker::sha256(ByteView(bytes).first(bytes.size() - 32))), to_hex(ByteView(bytes).last(32)));
}

TEST(Rescue, IsReadAsItWasWritten) {
  const auto again = decode_rescue(encode(sample()));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->deployment, sample().deployment);
  EXPECT_EQ(again->saved, sample().saved);
  EXPECT_EQ(again->disk.serial, "S1");
  EXPECT_EQ(again->disk.size, kDisk);
  EXPECT_EQ(again->image_size, kImage);
  EXPECT_TRUE(check_same_disk(*again, sample().disk));
  Bytes whole(kDisk.bytes);
  for (const Patch& run : again->runs)
    std::ranges::copy(run.bytes, whole.begin() + static_cast<std::ptrdiff_t>(run.at.bytes));
  EXPECT_EQ(whole[4096], std::byte{0xAB});
  EXPECT_EQ(encode(*again), encode(sample()));
}

TEST(Rescue, IsReadHoweverMuchItHolds) {
  Rescue most = sample();
  most.disk.size = 32_MiB;
  most.runs = {{{0}, Bytes(kMostCovered.bytes)}};
  SeededRandom(3).fill(most.runs[0].bytes);
  const auto again = decode_rescue(encode(most));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(again->runs[0].bytes == most.runs[0].bytes);
}

TEST(Rescue, EveryAlteredByteIsNoticed) {
  const Bytes good = encode(sample());
  for (std::size_t i = 0; i < good.size(); i += 7) {
    Bytes bad = good;
    bad[i] ^= std::byte{1};
    refusal(decode_rescue(bad), Code::usage);
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{31}, std::size_t{100}, good.size() - 1})
    refusal(decode_rescue(ByteView(good).first(size)), Code::usage);
}

TEST(Rescue, HostileNumbersAreRefused) {
  const Bytes good = encode(sample());
  const std::size_t runs = good.size() - 32 - 4096 - 4 * 17;
  const auto with = [&](std::size_t at, std::uint64_t value, std::size_t size) {
    Bytes bad(good.begin(), good.end() - 32);
    for (std::size_t i = 0; i < size; ++i) bad[at + i] = static_cast<std::byte>(value >> (8 * i));
    const auto digest = chunker::sha256(bad);
    bad.insert(bad.end(), digest.begin(), digest.end());
    refusal(decode_rescue(bad), Code::usage);
  };
  with(12, ~0ULL, 4);  // runs
  with(12, 3, 4);
  with(14, 1, 2);
  with(8, 2, 2);                  // version
  with(40, 4096, 8);              // a disk smaller than the image
  with(64, 0xFFFFFF, 4);          // path
  with(68, 7, 1);                 // a control character
  with(runs, 1ULL << 60, 8);      // beyond the disk
  with(runs + 8, 1ULL << 40, 8);  // covers too much
  with(runs + 8, ~0ULL, 8);
  with(runs + 8, 0, 8);
  with(runs + 16, 2, 1);  // kind
  with(runs + 16, 1, 1);  // more bytes than there are
  with(runs + 17, 0, 8);  // out of order
}

TEST(Rescue, KnowsItsDisk) {
  const Disk same = sample().disk;
  const auto code = [&](const std::function<void(Disk&)>& change) {
    Disk disk = same;
    change(disk);
    const auto result = check_same_disk(sample(), disk);
    return result ? Code::internal : result.error().code;
  };
  EXPECT_EQ(code([](Disk& disk) { disk.path = "/dev/sdb"; }), Code::internal);
  EXPECT_EQ(code([](Disk& disk) { disk.guid = "other"; }), Code::internal);
  EXPECT_EQ(code([](Disk& disk) { disk.size = kDisk + 512_B; }), Code::identity_changed);
  EXPECT_EQ(code([](Disk& disk) { disk.sector_size = 4096; }), Code::identity_changed);
  EXPECT_EQ(code([](Disk& disk) { disk.serial = ""; }), Code::identity_changed);
  EXPECT_EQ(code([](Disk& disk) { disk.wwn = "naa.6"; }), Code::identity_changed);
  EXPECT_EQ(code([](Disk& disk) { disk.model = "N"; }), Code::identity_changed);
  Rescue nameless = sample();
  nameless.disk.serial = nameless.disk.wwn = "";
  Disk moved = nameless.disk;
  EXPECT_TRUE(check_same_disk(nameless, moved));
  moved.path = "/dev/sdb";
  EXPECT_FALSE(check_same_disk(nameless, moved));
}

// --- what is saved

class Table : public ::testing::Test {
 protected:
  std::vector<Range> ranges(const Bytes& bytes, std::uint32_t sector = 512) {
    put(folder_.path() / "disk", bytes);
    const auto file = File::open(folder_.path() / "disk", O_RDONLY);
    return table_ranges(*file, {bytes.size()}, sector);
  }
  static void extended(MutableBytes bytes, std::size_t record, std::uint32_t first) {
    bytes[record + 510] = std::byte{0x55};
    bytes[record + 511] = std::byte{0xaa};
    bytes[record + 462 + 4] = std::byte{0x05};
    store_le<std::uint32_t>(bytes.subspan(record + 462 + 8), first);
  }
  const Scratch folder_;
};

TEST_F(Table, EntriesOfAGptWhereverTheyAre) {
  Bytes bytes(kDisk.bytes);
  write_gpt(bytes, kDisk, 512, {std::byte{1}, {{{1 << 20}, 4_MiB}}});
  EXPECT_THAT(ranges(bytes), ElementsAre(Range{{1024}, 16_KiB}));
  store_le<std::uint64_t>(MutableBytes(bytes).subspan(512 + 72), 8192);
  EXPECT_THAT(ranges(bytes), ElementsAre(Range{{4 << 20}, 16_KiB}));
  store_le<std::uint64_t>(MutableBytes(bytes).subspan(512 + 72), ~0ULL);
  EXPECT_THAT(ranges(bytes), IsEmpty());
  store_le<std::uint64_t>(MutableBytes(bytes).subspan(512 + 72), 2);
  store_le<std::uint32_t>(MutableBytes(bytes).subspan(512 + 80), ~0U);
  EXPECT_THAT(ranges(bytes), IsEmpty());
}

TEST_F(Table, TheChainOfLogicalPartitions) {
  Bytes bytes(kDisk.bytes);
  extended(bytes, 0, 8192);
  extended(bytes, 4 << 20, 2048);
  bytes[(5 << 20) + 510] = std::byte{0x55};
  bytes[(5 << 20) + 511] = std::byte{0xaa};
  EXPECT_THAT(ranges(bytes), ElementsAre(Range{{4 << 20}, 512_B}, Range{{5 << 20}, 512_B}));
  extended(bytes, 5 << 20, 2048);  // a chain without an end
  EXPECT_EQ(ranges(bytes).size(), kMostLinks);
  extended(bytes, 5 << 20, ~0U);
  EXPECT_EQ(ranges(bytes).size(), 2U);
}

TEST_F(Table, BothEndsAndWhereTheImageEnds) {
  Bytes bytes(kDisk.bytes);
  put(folder_.path() / "disk", bytes);
  const auto file = File::open(folder_.path() / "disk", O_RDONLY);
  const Range stale{{12 << 20}, 1_MiB};
  EXPECT_THAT(rescue_ranges(*file, kDisk, 512, kImage, {stale, {{0}, kMostCovered}}),
              ElementsAre(Range{{0}, 1_MiB}, Range{{kImage.bytes - (64 << 10)}, 64_KiB}, stale,
                          Range{{kDisk.bytes - (1 << 20)}, 1_MiB}));
  EXPECT_THAT(rescue_ranges(*file, 4096_B, 512, 4096_B, {}), ElementsAre(Range{{0}, 4096_B}));
}

// --- stale marks

volume::Found member(unsigned partition, Offset at, Size length, const std::string& usage = "raid") {
  return {partition, at, length, "X_member", usage, "", ""};
}

TEST(Stale, OnlyWhatReachesBeyondTheImage) {
  const Offset third{10 << 20};
  EXPECT_THAT(find_stale({member(1, {1 << 20}, 4_MiB)}, kDisk, kImage), IsEmpty());
  EXPECT_THAT(find_stale({member(3, third, 4_MiB, "filesystem")}, kDisk, kImage), IsEmpty());
  const auto whole = find_stale({member(0, {}, kDisk)}, kDisk, kImage);
  ASSERT_EQ(whole.size(), 1U);
  EXPECT_EQ(whole[0].what, "X_member");
  EXPECT_THAT(whole[0].ranges, ElementsAre(Range{{15 << 20}, 1_MiB}));
  const auto inside = find_stale({member(3, third, 4_MiB)}, kDisk, kImage);
  ASSERT_EQ(inside.size(), 1U);
  EXPECT_EQ(inside[0].what, "X_member in partition 3");
  EXPECT_THAT(inside[0].ranges, ElementsAre(Range{third, 1_MiB}, Range{{13 << 20}, 1_MiB}));
  // It begins before the image's end; that part is the image's.
  EXPECT_THAT(find_stale({member(2, {kImage.bytes - (512 << 10)}, 4_MiB)}, kDisk, kImage)[0].ranges,
              ElementsAre(Range{{kImage.bytes}, 512_KiB}, Range{{kImage.bytes + (2560 << 10)}, 1_MiB}));
  EXPECT_THAT(find_stale({member(2, {kImage.bytes - (512 << 10)}, 1_MiB)}, kDisk, {kImage.bytes - 1})[0].ranges,
              ElementsAre(Range{{kImage.bytes}, 512_KiB}));
  EXPECT_THAT(find_stale({member(9, {kDisk.bytes - 4096}, 1_MiB)}, kDisk, kImage)[0].ranges,
              ElementsAre(Range{{kDisk.bytes - 4096}, 4096_B}));
}

// --- on files as disks

class OnDisk : public ::testing::Test {
 protected:
  static constexpr Size kBig = 80_MiB;
  std::filesystem::path path() const { return folder_.path() / "disk"; }
  static Bytes old_disk() {
    Bytes bytes(kBig.bytes);
    SeededRandom random(7);
    random.fill(MutableBytes(bytes).subspan(1 << 20, 3 << 20));
    write_gpt(bytes, kBig, 512, {std::byte{0xab}, {{{1 << 20}, 4_MiB}, {{9 << 20}, 70_MiB}}});
    write_zfs(MutableBytes(bytes).subspan(9 << 20, (70_MiB).bytes), "tank");
    write_md_0_90(bytes);
    return bytes;
  }
  Result<GuardedDisk> open(std::optional<std::string> overwrite = {}) const {
    return open_guarded(*Selector::parse("file:" + path().string()),
                        {.size = kImage, .overwrite = std::move(overwrite), .create = false}, {});
  }
  // Up to where a deployment would place the first chunk, or until after_step throws.
  std::unique_ptr<Target> begun(std::function<void(std::string_view, std::string_view)> after_step = {}) {
    auto disk = open(path());
    EXPECT_TRUE(disk) << disk.error().message;
    TargetOptions options;
    options.save = [this](const Rescue& now) -> Result<> {
      saved_ = now;
      return {};
    };
    options.after_step = std::move(after_step);
    auto target = Target::open(std::move(*disk), kImage, options);
    EXPECT_TRUE(target) << target.error().message;
    const auto began = (*target)->begin(sample_record(kBig));
    EXPECT_TRUE(began) << began.error().message;
    return std::move(*target);
  }
  Result<Restored> restore(const Rescue& rescue, std::optional<std::string> overwrite = {}) const {
    return restore_table(rescue,
                         {.selector = *Selector::parse("file:" + path().string()), .overwrite = std::move(overwrite)}, {});
  }
  const Scratch folder_;
  std::optional<Rescue> saved_;
};

TEST_F(OnDisk, WhatBeginBlanksAndWipesComesBack) {
  const Bytes old = old_disk();
  put(path(), old);
  const auto wiped = begun()->wiped();
  ASSERT_EQ(wiped.size(), 3U);
  EXPECT_THAT(wiped[0], HasSubstr("linux_raid_member, 1.00 MiB from byte 82837504 on"));
  EXPECT_THAT(wiped[1], HasSubstr("zfs_member 'tank' in partition 2"));
  EXPECT_NE(content_of(path()), old);
  {
    const auto now = open();
    ASSERT_TRUE(now) << now.error().message;  // ours, although it was a RAID's
    EXPECT_THAT(now->found, IsEmpty());
  }
  ASSERT_TRUE(saved_);
  const auto rescue = decode_rescue(encode(*saved_));
  ASSERT_TRUE(rescue) << rescue.error().message;
  EXPECT_LT(encode(*saved_).size(), 200'000U);
  const auto restored = restore(*rescue);
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_TRUE(content_of(path()) == old);
}

TEST_F(OnDisk, ASecondRunFindsWhatAnInterruptedOneLeft) {
  struct PowerIsGone {};
  put(path(), old_disk());
  EXPECT_THROW(begun([](std::string_view, std::string_view step) {
                 if (step == "mark") throw PowerIsGone();
               }),
               PowerIsGone);
  {
    const auto disk = open(path());
    ASSERT_TRUE(disk);
    EXPECT_EQ(disk->found.size(), 2U);
  }
  EXPECT_EQ(begun()->wiped().size(), 3U);
  const auto disk = open();
  ASSERT_TRUE(disk) << disk.error().message;
  EXPECT_THAT(disk->found, IsEmpty());
}

TEST_F(OnDisk, NothingIsWipedThatIsNotSaved) {
  const Bytes old = old_disk();
  put(path(), old);
  auto disk = open(path());
  ASSERT_TRUE(disk) << disk.error().message;
  disk->found.clear();
  for (unsigned i = 0; i < 20; ++i) disk->found.push_back(member(i + 1, {(10 + 3ULL * i) << 20}, 2_MiB));
  TargetOptions options;
  options.save = [](const Rescue&) -> Result<> { return {}; };
  const auto target = Target::open(std::move(*disk), kImage, options);
  ASSERT_TRUE(target) << target.error().message;
  EXPECT_THAT(refusal((*target)->begin(sample_record(kBig)), Code::usage), HasSubstr("wipefs"));
  EXPECT_TRUE(content_of(path()) == old);
}

// What lies beyond the image's end is the restored table's.
TEST_F(OnDisk, ARestoreWipesNothing) {
  Bytes old(kBig.bytes);
  write_gpt(old, kBig, 512, {std::byte{0xab}, {{{9 << 20}, 70_MiB}}});
  put(path(), old);
  begun();
  ASSERT_TRUE(saved_);
  write_zfs(MutableBytes(old).subspan(9 << 20, (70_MiB).bytes), "tank");
  put(path(), old);
  const auto restored = restore(*saved_, path());
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_TRUE(content_of(path()) == old);
}

TEST_F(OnDisk, ARestoreIsWhole) {
  put(path(), old_disk());
  begun();
  const Bytes before = content_of(path());
  for (const bool last : {false, true}) {
    Rescue part = *saved_;
    part.runs.erase(last ? part.runs.end() - 1 : part.runs.begin());
    EXPECT_THAT(refusal(restore(part), Code::usage), HasSubstr("does not hold all"));
  }
  EXPECT_TRUE(content_of(path()) == before);
}

TEST_F(OnDisk, ARestoreIsGuarded) {
  put(path(), old_disk());
  begun();
  const Rescue rescue = *saved_;
  // Another disk's file.
  Rescue others = rescue;
  others.disk.path = "/elsewhere";
  const Bytes before = content_of(path());
  EXPECT_THAT(refusal(restore(others), Code::identity_changed), HasSubstr("path"));
  // Something that somebody has put there since.
  Bytes foreign = before;
  foreign[0] = std::byte{1};
  put(path(), foreign);
  refusal(restore(rescue), Code::foreign_content);
  EXPECT_TRUE(content_of(path()) == foreign);
  EXPECT_TRUE(restore(rescue, path()));
  // A disk of another size.
  std::filesystem::resize_file(path(), kBig.bytes + 4096);
  refusal(restore(rescue, path()), Code::identity_changed);
  std::filesystem::resize_file(path(), kBig.bytes - 4096);
  refusal(restore(rescue, path()), Code::too_small);
  std::filesystem::remove(path());
  refusal(restore(rescue), Code::no_match);
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(OnDisk, ABlankDiskNeedsNoRescue) {
  put(path(), Bytes(kBig.bytes));
  EXPECT_THAT(begun()->wiped(), IsEmpty());
  EXPECT_FALSE(saved_);
}

}  // namespace
}  // namespace stampede::disk

// Image files: what QEMU finds in them is what was deployed, and nothing is left of one that was not.
#include "src/disk/image_file.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "src/disk/guard.h"
#include "tests/disk/sample_image.h"
#include "tests/disk/scratch.h"

namespace stampede::disk {
namespace {

namespace fs = std::filesystem;

class ImageFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* tool : {"qemu-nbd", "qemu-img"})
      if (!volume::find_tool(tool, "qemu-utils")) GTEST_SKIP() << "there is no " << tool << " here";
  }
  Result<GuardedDisk> open(Needs needs) const {
    STAMPEDE_TRY(const auto selector, Selector::parse("file:" + path_.string()));
    return open_guarded(selector, needs, {});
  }
  Result<std::unique_ptr<Target>> target(Needs needs) const {
    STAMPEDE_TRY(auto disk, open(needs));
    EXPECT_FALSE(fs::exists(path_));
    return Target::open(std::move(disk), needs.size, {.slabs = 4, .depth = 4});
  }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_.path()), fs::directory_iterator()));
  }
  // Its content as QEMU reads it.
  Bytes content() const {
    const auto raw = folder_ / "content";
    const Ran ran = run(fmt::format("qemu-img convert -O raw {} {}", path_.string(), raw.string()));
    EXPECT_EQ(ran.code, 0) << ran.output;
    return content_of(raw);
  }

  const Scratch folder_;
  const fs::path path_ = folder_ / "disk.qcow2";
};

TEST_F(ImageFileTest, AnOlderFileThatSomebodyUsesByNowStays) {
  SeededRandom random(1);
  const SampleImage image = make_image(random, 4_MiB);
  ASSERT_EQ(run(fmt::format("qemu-img create -f qcow2 {} 4M", path_.string())).code, 0);
  const Bytes before = content_of(path_);
  auto disk = open({.size = image.size(), .overwrite = path_.string()});
  ASSERT_TRUE(disk) << disk.error().message;
  auto opened = Target::open(*std::move(disk), image.size(), {.slabs = 4, .depth = 4});
  ASSERT_TRUE(opened);
  ASSERT_TRUE((*opened)->begin(sample_record(4_MiB)));
  fs::rename(path_, folder_ / "moved");
  fs::copy_file(folder_ / "moved", path_);
  ASSERT_TRUE((*opened)->flush());
  const auto committed = (*opened)->commit();
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code, Code::in_use) << committed.error().message;
  EXPECT_EQ(content_of(path_), before);
}

TEST_F(ImageFileTest, HoldsTheImageOnceItIsCommitted) {
  for (const auto& [image_size, disk_size] :
       {std::pair{6_MiB, 6_MiB}, std::pair{4_MiB + Size{512}, 9_MiB}, std::pair{Size{1000}, Size{1024}}}) {
    fs::remove(path_);
    SeededRandom random(image_size.bytes);
    const SampleImage image = make_image(random, image_size);
    auto opened = target({.size = image.size(), .file_size = image_size == 4_MiB + Size{512} ? disk_size : Size{}});
    ASSERT_TRUE(opened) << opened.error().message;
    Target& to = **opened;
    EXPECT_EQ(to.engine(), "nbd");
    ASSERT_EQ(to.identity().size, disk_size);
    const Bytes wanted = image.over(Bytes(disk_size.bytes), disk_size);

    ASSERT_TRUE(to.begin(sample_record(disk_size)));
    const auto moved = transfer(to, image);
    ASSERT_TRUE(moved) << moved.error().message;
    ASSERT_TRUE(to.flush());
    const auto compared = to.compare(image.expected(), {});
    ASSERT_TRUE(compared) << compared.error().message;
    EXPECT_EQ(std::ranges::count(*compared, false), 0);
    // Edits that begin and end anywhere, as first boot makes them.
    Bytes edited = wanted;
    for (int i = 0; i < 20; ++i) {
      const Bytes edit = random_bytes(random, 1 + random.below(std::min<std::uint64_t>(disk_size.bytes, 9000)));
      const Offset at{random.below(disk_size.bytes - edit.size() + 1)};
      ASSERT_TRUE(to.blocks().write(at, edit));
      std::ranges::copy(edit, edited.begin() + static_cast<long>(at.bytes));
    }
    const auto reader = to.reader();
    ASSERT_TRUE(reader);
    EXPECT_EQ(files(), 0U);
    const auto committed = to.commit();
    ASSERT_TRUE(committed) << committed.error().message;

    EXPECT_EQ(files(), 1U);
    EXPECT_TRUE(content() == edited);
    const Ran checked = run("qemu-img check " + path_.string());
    EXPECT_EQ(checked.code, 0) << checked.output;
    Bytes out(512);
    EXPECT_FALSE((*reader)->read_some_at({}, out));
    fs::remove(folder_ / "content");
  }
}

TEST_F(ImageFileTest, TakesNoMoreRoomThanItsData) {
  const auto to = target({.size = 1_GiB});
  ASSERT_TRUE(to) << to.error().message;
  ASSERT_TRUE((*to)->begin(sample_record(1_GiB)));
  Waiter waiter;
  (*to)->zero({}, 1_GiB, waiter.expect_one());
  ASSERT_TRUE(waiter.wait());
  ASSERT_TRUE((*to)->commit());
  EXPECT_LT(fs::file_size(path_), (3_MiB).bytes);
}

TEST_F(ImageFileTest, NothingIsLeftOfAnUnfinishedOne) {
  {
    const auto to = target({.size = 4_MiB});
    ASSERT_TRUE(to) << to.error().message;
    ASSERT_TRUE((*to)->begin(sample_record(4_MiB)));
  }
  EXPECT_EQ(files(), 0U);
}

TEST_F(ImageFileTest, AnOlderFileGoesOnlyWhenItIsNamedAndTheNewOneIsWhole) {
  const Bytes old(1000, std::byte{7});
  put(path_, old);
  const auto refused = open({.size = 4_MiB});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::foreign_content) << refused.error().message;
  auto disk = open({.size = 4_MiB, .overwrite = path_});
  ASSERT_TRUE(disk) << disk.error().message;
  const auto to = Target::open(*std::move(disk), 4_MiB);
  ASSERT_TRUE(to);
  ASSERT_TRUE((*to)->begin(sample_record(4_MiB)));
  EXPECT_TRUE(content_of(path_) == old);
  ASSERT_TRUE((*to)->commit());
  EXPECT_EQ(files(), 1U);
  EXPECT_TRUE(content() == Bytes((4_MiB).bytes));
}

TEST_F(ImageFileTest, OneThatComesMeanwhileStays) {
  const auto to = target({.size = 4_MiB});
  ASSERT_TRUE(to) << to.error().message;
  ASSERT_TRUE((*to)->begin(sample_record(4_MiB)));
  const Bytes other(1000, std::byte{7});
  put(path_, other);
  const auto committed = (*to)->commit();
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code, Code::usage) << committed.error().message;
  EXPECT_TRUE(content_of(path_) == other);
}

TEST_F(ImageFileTest, AServerThatHasEndedIsAnError) {
  const auto to = target({.size = 4_MiB});
  ASSERT_TRUE(to) << to.error().message;
  ASSERT_TRUE((*to)->begin(sample_record(4_MiB)));
  ASSERT_EQ(run(fmt::format("pkill -KILL -P {} qemu-nbd", ::getpid())).code, 0);
  SeededRandom random(1);
  const auto moved = transfer(**to, make_image(random, 4_MiB));
  ASSERT_FALSE(moved);
  EXPECT_EQ(moved.error().code, Code::write_failed);
  EXPECT_NE(moved.error().message.find("qemu-nbd has ended"), std::string::npos) << moved.error().message;
  EXPECT_FALSE((*to)->flush());
  EXPECT_FALSE((*to)->commit());
  EXPECT_EQ(files(), 0U);
}

TEST_F(ImageFileTest, WhatCannotBeMadeIsRefused) {
  const auto no_folder = Selector::parse("file:" + (folder_ / "none" / "disk.qcow2").string());
  EXPECT_EQ(open_guarded(*no_folder, {.size = 4_MiB}, {}).error().code, Code::usage);
  EXPECT_EQ(open({.size = 4_MiB, .file_size = 3_MiB}).error().code, Code::too_small);
  EXPECT_EQ(open({.size = 4_MiB, .create = false}).error().code, Code::no_match);
  put(folder_ / "other", Bytes(1));
  fs::create_symlink(folder_ / "other", path_);
  EXPECT_EQ(open({.size = 4_MiB, .overwrite = path_}).error().code, Code::usage);
}

}  // namespace
}  // namespace stampede::disk

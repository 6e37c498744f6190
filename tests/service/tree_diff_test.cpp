#include "src/service/tree_diff.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "chunker/package.h"
#include "src/base/file.h"
#include "src/base/seams.h"
#include "tests/chunker/memory_store.h"
#include "tests/volume/images.h"

namespace stampede::service {
namespace {

using volume::put;

std::string line_of(const FileChange& change) {
  constexpr std::string_view kKinds[] = {"added", "removed", "changed"};
  return fmt::format("{} {}{}{} {}", kKinds[static_cast<std::size_t>(change.kind)], change.path,
                     change.what.empty() ? "" : " ", fmt::join(change.what, ","), change.differs.bytes);
}

// Two trees, each an ext file system in an image of one store.
class TreeDiffTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!volume::have("mke2fs") || !volume::have("debugfs")) GTEST_SKIP() << "needs e2fsprogs";
    volume::make_root_tree(a_);
    put(a_ / "srv/large", text(3'000'000, 1));
    for (int i = 0; i < 50; ++i) put(a_ / fmt::format("srv/small/{}", i), text(static_cast<std::size_t>(i) * 700, i));
    put(a_ / "srv/hole", "begin");
    std::filesystem::resize_file(a_ / "srv/hole", 5'000'000);
    std::filesystem::create_symlink("large", a_ / "srv/link");
    std::filesystem::copy(a_, b_, std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks);
  }
  static std::string text(std::size_t size, std::uint64_t seed) {
    Bytes bytes(size);
    SeededRandom(seed).fill(bytes);
    return std::string(as_text(bytes));
  }
  // Packages a tree as one file system that fills the disk.
  chunker::Manifest packaged(const std::filesystem::path& tree, const std::string& options,
                             const std::string& debugfs = "") {
    const std::string image = (scratch_ / "image").string();
    volume::make_disk(image, 32U << 20);
    const auto made = volume::run(fmt::format("mke2fs -q -F {} -d {} {}", options, tree.string(), image));
    EXPECT_EQ(made.code, 0) << made.output;
    if (!debugfs.empty()) EXPECT_EQ(volume::run(fmt::format("debugfs -w -R '{}' {}", debugfs, image)).code, 0);
    const auto report = chunker::import_image(*File::open(image, O_RDONLY), {}, store_, {});
    EXPECT_TRUE(report);
    return *chunker::load_manifest(store_, report->image);
  }
  std::vector<std::string> lines(const chunker::Manifest& before, const chunker::Manifest& after) {
    chunker::ImageBlocks left(before, store_), right(after, store_);
    std::vector<std::string> out;
    const auto done =
        compare_trees({left, {}}, {right, {}}, {}, [&](const FileChange& one) { out.push_back(line_of(one)); });
    EXPECT_TRUE(done) << done.error().message;
    return out;
  }

  volume::Scratch scratch_;
  std::filesystem::path a_ = scratch_ / "a", b_ = scratch_ / "b";
  stampede::testing::MemoryStore store_;
};

constexpr const char* kUsual = "-t ext4 -b 4096";

TEST_F(TreeDiffTest, TheSameFilesInAnyKindOfFileSystem) {
  const auto before = packaged(a_, kUsual);
  for (const char* options :
       {kUsual, "-t ext4 -b 1024", "-t ext2", "-t ext4 -O inline_data -I 512", "-t ext4 -O bigalloc -C 16384"}) {
    // mke2fs cuts a sparse file short where it begins in the inode.
    const bool is_inline = std::string_view(options).find("inline") != std::string_view::npos;
    const auto after = packaged(b_, options);
    for (auto found : {lines(before, after), lines(after, before)}) {
      if (is_inline) std::erase(found, "changed /srv/hole content 4998976");
      EXPECT_EQ(found, (std::vector<std::string>{})) << options;
    }
  }
}

TEST_F(TreeDiffTest, EveryKindOfChange) {
  std::filesystem::remove(b_ / "srv/small/7");
  std::filesystem::remove_all(b_ / "usr/bin");
  put(b_ / "srv/more/deep/new", text(10'000, 9));
  std::string large = text(3'000'000, 1);
  large[1'500'000] ^= 1;
  put(b_ / "srv/large", large);
  put(b_ / "srv/small/3", text(2100, 3) + "longer");
  std::filesystem::permissions(b_ / "srv/small/4", std::filesystem::perms::owner_all);
  std::filesystem::remove(b_ / "srv/link");
  std::filesystem::create_symlink("larger", b_ / "srv/link");
  std::filesystem::remove(b_ / "srv/small/5");
  std::filesystem::create_directories(b_ / "srv/small/5/inside");
  std::filesystem::create_hard_link(b_ / "srv/small/9", b_ / "srv/small/another-name-of-9");
  const std::vector<std::string> expected{
      "changed /srv/large content 4096",
      "changed /srv/link target 0",
      "added /srv/more/ 0",
      "added /srv/more/deep/ 0",
      "added /srv/more/deep/new 10000",
      "changed /srv/small/3 content 6",
      "changed /srv/small/4 mode 0",
      "changed /srv/small/5/ kind 0",
      "added /srv/small/5/inside/ 0",
      "removed /srv/small/7 4900",
      "added /srv/small/another-name-of-9 6300",
      "removed /usr/bin/ 0",
      "removed /usr/bin/cloud-init 19",
      "removed /usr/bin/sh 0",
  };
  auto got = lines(packaged(a_, kUsual), packaged(b_, "-t ext4 -b 1024"));
  std::erase_if(got, [](const std::string& line) { return line.starts_with("removed /usr/bin/dash "); });
  std::ranges::sort(got, {}, [](const std::string& line) { return line.substr(line.find(' ')); });
  EXPECT_EQ(got, expected);
}

TEST_F(TreeDiffTest, OwnersAttributesAndDevices) {
  const auto before = packaged(a_, kUsual);
  const auto expect = [&](const std::string& request, const std::string& line) {
    EXPECT_EQ(lines(before, packaged(a_, kUsual, request)), (std::vector<std::string>{line})) << request;
  };
  expect("sif /srv/large uid 1000", "changed /srv/large owner 0");
  expect("sif /srv/large gid 70000", "changed /srv/large owner 0");
  expect("ea_set /srv/large user.note hello", "changed /srv/large attributes 0");
  expect("sif / mode 040700", "changed / mode 0");
  expect("mknod null c 1 3", "added /null 0");
  const auto one = packaged(a_, kUsual, "mknod null c 1 3"), other = packaged(a_, kUsual, "mknod null c 1 5");
  EXPECT_EQ(lines(one, other), (std::vector<std::string>{"changed /null device 0"}));
}

TEST_F(TreeDiffTest, WhatLiesInTheSameChunksIsNotRead) {
  put(b_ / "etc/hostname", "another\n");
  const auto before = packaged(a_, kUsual), after = packaged(b_, kUsual);
  std::size_t asked = 0;
  chunker::ImageBlocks left(before, store_), right(after, store_);
  const TreeDiffOptions options{.interrupted = [&] { return ++asked, false; }};
  std::size_t changes = 0;
  ASSERT_TRUE(compare_trees({left, {}}, {right, {}}, options, [&](const FileChange&) { ++changes; }));
  EXPECT_EQ(changes, 1U);
  // Once for each of some twenty folders, and once for each part that is read: far less than all that there is.
  EXPECT_LT(asked, 60U);
}

TEST_F(TreeDiffTest, EndsWhenToldTo) {
  const auto before = packaged(a_, kUsual);
  chunker::ImageBlocks left(before, store_), right(before, store_);
  const TreeDiffOptions options{.interrupted = [] { return true; }};
  const auto done = compare_trees({left, {}}, {right, {}}, options, [](const FileChange&) {});
  EXPECT_EQ(done.error().code, Code::interrupted);
}

TEST_F(TreeDiffTest, DamageIsSurvived) {
  const auto before = packaged(a_, "-t ext4 -b 1024 -O ^metadata_csum");
  const auto sound = volume::MemoryBlocks::load(scratch_ / "image").bytes();
  SeededRandom random(7);
  for (int round = 0; round < 40; ++round) {
    Bytes bytes = sound;
    const std::size_t range = round % 3 == 0 ? bytes.size() : 600'000;
    for (std::uint64_t flips = 1 + random.below(60); flips > 0; --flips)
      bytes[random.below(range)] ^= static_cast<std::byte>(1U << random.below(8));
    volume::MemoryBlocks(std::move(bytes)).save(scratch_ / "damaged");
    const auto report = chunker::import_image(*File::open(scratch_ / "damaged", O_RDONLY), {}, store_, {});
    ASSERT_TRUE(report);
    const auto after = chunker::load_manifest(store_, report->image);
    ASSERT_TRUE(after);
    chunker::ImageBlocks left(before, store_), right(*after, store_);
    const auto done = compare_trees({left, {}}, {right, {}}, {}, [](const FileChange&) {});
    if (!done) EXPECT_FALSE(done.error().message.empty());
  }
}

}  // namespace
}  // namespace stampede::service

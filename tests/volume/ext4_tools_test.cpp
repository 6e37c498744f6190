#include "src/volume/ext4_tools.h"

#include <gtest/gtest.h>

#include <csignal>

#include "src/volume/ext4.h"
#include "src/volume/run_tool.h"
#include "src/volume/served_blocks.h"
#include "tests/volume/images.h"

namespace stampede::volume {
namespace {

constexpr Offset kAt{1U << 20};
constexpr Size kOld = 16_MiB, kNew{(40U << 20) - 4096};
constexpr const char* kUuid = "99999999-aaaa-4bbb-8ccc-dddddddddddd";

TEST(RunTool, StatusOutputAndInterruption) {
  Scratch scratch;
  put(scratch / "file", "what the tool reads");
  const File file = std::move(File::open(scratch / "file", 0).value());
  const auto cat = run_tool("/bin/cat", {std::string(kToolFile)}, file, {});
  ASSERT_TRUE(cat) << cat.error().message;
  EXPECT_EQ(cat->status, 0);
  EXPECT_EQ(cat->output, "what the tool reads");
  const auto sh = run_tool("/bin/sh", {"-c", "echo one; echo two >&2; exit 3"}, file, {});
  EXPECT_EQ(sh->status, 3);
  EXPECT_EQ(sh->last_line(), "two");
  EXPECT_EQ(run_tool("/bin/sh", {"-c", "kill -9 $$"}, file, {})->status, 128 + 9);
  EXPECT_EQ(run_tool("/bin/sleep", {"1000"}, file, [] { return false; }).error().code, Code::interrupted);
  EXPECT_EQ(run_tool("/nosuch", {}, file, {}).error().code, Code::internal);
  const auto before = std::signal(SIGCHLD, SIG_IGN);
  EXPECT_EQ(run_tool("/bin/true", {}, file, {})->status, 255) << "nobody knows how it ended";
  std::signal(SIGCHLD, before);
  EXPECT_NE(find_tool("nosuch", "some-package").error().message.find("some-package"), std::string::npos);
}

class Ext4Tools : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto can = check_ext4_tools(); !can) GTEST_SKIP() << can.error().message;
    make_root_tree(scratch_ / "tree");
  }
  // A file system at kAt of a disk where there is room behind it.
  MemoryBlocks disk_with(const std::string& options) {
    make_disk(part_, kOld.bytes);
    const Ran made = run(fmt::format("mke2fs -q -F {} -d {} {}", options, (scratch_ / "tree").string(), part_.string()));
    EXPECT_EQ(made.code, 0) << made.output;
    MemoryBlocks part = MemoryBlocks::load(part_);
    Bytes disk((kAt + kNew).bytes + 8192, std::byte{0xa5});
    std::ranges::copy(part.bytes(), disk.begin() + kAt.bytes);
    return MemoryBlocks(std::move(disk));
  }
  void save_part(MemoryBlocks& blocks) {
    MemoryBlocks(stampede::copy(ByteView(blocks.bytes()).subspan(kAt.bytes, kNew.bytes))).save(part_);
  }
  Scratch scratch_;
  std::filesystem::path part_ = scratch_ / "part";
};

TEST_F(Ext4Tools, ServedFileIsTheDisksPart) {
  MemoryBlocks blocks(Bytes(3U << 20, std::byte{1}));
  {
    auto served = ServedBlocks::serve(blocks, kAt, 1_MiB);
    ASSERT_TRUE(served) << served.error().message;
    const File& file = (*served)->file();
    EXPECT_EQ(file.size().value(), 1_MiB);
    ASSERT_TRUE(file.write_at({1000}, as_bytes("here")));
    Bytes got(4);
    ASSERT_TRUE(file.read_at({1000}, got));
    EXPECT_EQ(as_text(got), "here");
    EXPECT_FALSE(file.truncate(2_MiB));
    ASSERT_TRUE(file.sync());
    EXPECT_EQ(blocks.flushes, 1U);
    blocks.bytes()[kAt.bytes + 5000] = std::byte{0x77};
    ASSERT_TRUE((*served)->settle());
    ASSERT_TRUE(file.read_at({5000}, got));
    EXPECT_EQ(got[0], std::byte{0x77}) << "from a cache";
    std::ignore = file.write_at({(1U << 20) - 2}, as_bytes("here"));
    EXPECT_FALSE((*served)->settle()) << "written beyond its end";
    EXPECT_EQ(blocks.bytes()[(kAt + 1_MiB).bytes], std::byte{1});
    blocks.fail_at = blocks.writes + 1;
    std::ignore = file.write_at({0}, as_bytes("lost"));
    const auto settled = (*served)->settle();
    ASSERT_FALSE(settled);
    EXPECT_EQ(settled.error().message, "no write today");
  }
  EXPECT_EQ(as_text(ByteView(blocks.bytes()).subspan(kAt.bytes + 1000, 4)), "here");
  EXPECT_EQ(run("grep -c ' - fuse stampede ' /proc/self/mountinfo").output, "0\n");
}

TEST_F(Ext4Tools, GrowsAndChangesTheUuid) {
  for (const char* options : {"-t ext4 -b 4096", "-t ext4 -b 1024 -O ^64bit,^metadata_csum", "-t ext2",
                              "-t ext4 -O metadata_csum_seed", "-t ext4 -O ^resize_inode,inline_data -I 512"}) {
    SCOPED_TRACE(options);
    MemoryBlocks blocks = disk_with(options);
    const auto changed = change_ext4(blocks, kAt, kNew, {.grow = true, .uuid = kUuid}, {});
    ASSERT_TRUE(changed) << changed.error().message;
    EXPECT_EQ(blocks.bytes()[kAt.bytes - 1], std::byte{0xa5});
    EXPECT_EQ(blocks.bytes()[(kAt + kNew).bytes], std::byte{0xa5});
    save_part(blocks);
    const Ran checked = run("e2fsck -fn " + part_.string());
    EXPECT_EQ(checked.code, 0) << checked.output;
    const std::string said = run("dumpe2fs -h " + part_.string()).output;
    EXPECT_NE(said.find(kUuid), std::string::npos) << said;
    auto files = Ext4::open(blocks, kAt, false);
    ASSERT_TRUE(files) << files.error().message;
    EXPECT_TRUE(files->read("/etc/hostname", 1_KiB));
    EXPECT_EQ(run("dumpe2fs -h " + part_.string() +
                  " 2>/dev/null | awk '/^Block (count|size):/ {p = p ? p * $3 : $3} END {print p}'")
                  .output,
              fmt::format("{}\n", kNew.bytes));
  }
}

TEST_F(Ext4Tools, WriteErrorsAndDamageAreTold) {
  MemoryBlocks blocks = disk_with("-t ext4");
  MemoryBlocks counted = blocks;
  ASSERT_TRUE(change_ext4(counted, kAt, kNew, {.grow = true, .uuid = {}}, {}));
  for (const std::size_t n : {std::size_t{1}, counted.writes / 2, counted.writes}) {
    MemoryBlocks failing = blocks;
    failing.fail_at = n;
    const auto changed = change_ext4(failing, kAt, kNew, {.grow = true, .uuid = {}}, {});
    ASSERT_FALSE(changed) << n << " of " << counted.writes;
    EXPECT_NE(changed.error().message.find("today"), std::string::npos) << changed.error().message;
  }
  std::ranges::fill(MutableBytes(blocks.bytes()).subspan(kAt.bytes + 4096, 8192), std::byte{0x33});
  const auto changed = change_ext4(blocks, kAt, kNew, {.grow = true, .uuid = {}}, {});
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().code, Code::write_failed);
  EXPECT_NE(changed.error().message.find("e2fsck"), std::string::npos);
}

TEST_F(Ext4Tools, EndsWhenToldTo) {
  MemoryBlocks blocks = disk_with("-t ext4");
  const auto changed = change_ext4(blocks, kAt, kNew, {.grow = true, .uuid = {}}, [] { return false; });
  EXPECT_EQ(changed.error().code, Code::interrupted);
}

}  // namespace
}  // namespace stampede::volume

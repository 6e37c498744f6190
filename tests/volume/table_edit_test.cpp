#include "src/volume/table_edit.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "src/volume/probe.h"
#include "tests/volume/images.h"

namespace stampede::volume {
namespace {

constexpr std::uint64_t kImage = 8U << 20;

class TableEdits : public testing::Test {
 protected:
  void SetUp() override {
    if (!have("sgdisk") || !have("sfdisk") || !have("fdisk")) GTEST_SKIP() << "needs sgdisk, sfdisk and fdisk";
  }
  void sh(const std::string& command) {
    const Ran ran = run(command);
    ASSERT_EQ(ran.code, 0) << command << "\n" << ran.output;
  }
  // A disk that begins with an image whose table was made by `command`; "$1" is the file.
  MemoryBlocks disk_with(const std::string& command, std::uint64_t size) {
    static std::map<std::string, Bytes> made;  // each once: sgdisk takes a second
    Bytes& image = made[command];
    if (image.empty()) {
      make_disk(path_, kImage);
      sh("set -- " + path_.string() + "; " + command);
      image = MemoryBlocks::load(path_).bytes();
    }
    Bytes disk = image;
    disk.resize(size);
    MemoryBlocks blocks(std::move(disk));
    blocks.save(path_);
    return blocks;
  }
  TableEdited edit(MemoryBlocks& blocks, const TableEdit& edit) {
    auto done = edit_table(blocks, edit);
    EXPECT_TRUE(done) << done.error().message;
    blocks.save(path_);
    return done.value_or(TableEdited{});
  }
  Table table(std::uint32_t sector_size = 512) {
    const File file = std::move(File::open(path_, O_RDONLY).value());
    return find_table(file, file.size().value(), sector_size, false).value_or(Table{});
  }
  std::string verified() { return run("sgdisk -v " + path_.string()).output; }

  const std::string kGpt =
      "sgdisk -U 11111111-2222-3333-4444-555555555555 -n 1:2048:4095 -t 1:ef02 -u 1:aaaaaaaa-0000-0000-0000-000000000001 "
      "-n 2:4096:0 -c 2:root -u 2:aaaaaaaa-0000-0000-0000-000000000002 $1";
  Scratch scratch_;
  std::filesystem::path path_ = scratch_ / "disk";
};

TEST_F(TableEdits, BackupComesToTheEnd) {
  for (const std::uint64_t size : {kImage + 512, kImage + (1U << 20), kImage * 4 + 1536, std::uint64_t{1} << 26}) {
    SCOPED_TRACE(size);
    MemoryBlocks blocks = disk_with(kGpt, size);
    const Table before = table();
    EXPECT_NE(verified().find("Problem"), std::string::npos);
    const TableEdited done = edit(blocks, {});
    EXPECT_EQ(done.kind, "gpt");
    EXPECT_TRUE(done.moved);
    EXPECT_FALSE(done.grown);
    EXPECT_NE(verified().find("No problems found"), std::string::npos) << verified();
    EXPECT_EQ(table().id, before.id);
    ASSERT_EQ(table().partitions.size(), 2U);
    EXPECT_EQ(table().partitions[1].length, before.partitions[1].length);
    EXPECT_EQ(table().partitions[1].name, "root");
    if (size >= kImage + 33 * 512) EXPECT_TRUE(all_zero(ByteView(blocks.bytes()).subspan(kImage - 33 * 512, 33 * 512)));
    // The protective MBR speaks of the whole disk.
    EXPECT_EQ(load_le<std::uint32_t>(ByteView(blocks.bytes()).subspan(446 + 12)), size / 512 - 1);
    EXPECT_NE(run("sfdisk --verify " + path_.string()).output.find("No errors"), std::string::npos);
  }
}

TEST_F(TableEdits, SecondEditChangesNothing) {
  MemoryBlocks blocks = disk_with(kGpt, kImage * 2);
  edit(blocks, {});
  const std::size_t writes = blocks.writes;
  EXPECT_FALSE(edit(blocks, {}).moved);
  EXPECT_EQ(blocks.writes, writes);
}

TEST_F(TableEdits, GptThatFitsIsLeftAlone) {
  MemoryBlocks blocks = disk_with(kGpt, kImage);
  EXPECT_FALSE(edit(blocks, {}).moved);
  EXPECT_EQ(blocks.writes, 0U);
}

TEST_F(TableEdits, SectorsOf4096) {
  MemoryBlocks blocks = disk_with("printf 'g\\nn\\n1\\n256\\n\\nw\\n' | fdisk -b 4096 $1", kImage * 3);
  const TableEdited done = edit(blocks, {.sector_size = 4096, .grow_last = true, .ids = {}});
  EXPECT_TRUE(done.moved);
  ASSERT_TRUE(done.grown);
  EXPECT_EQ(done.grown->offset.bytes, 1U << 20);
  EXPECT_EQ(done.grown->length.bytes, kImage * 3 - (1U << 20) - 5 * 4096);
  ASSERT_EQ(table(4096).partitions.size(), 1U);
  EXPECT_EQ(table(4096).partitions[0].length, done.grown->length);
  const std::string said = run("fdisk -b 4096 -l " + path_.string()).output;
  EXPECT_EQ(said.find("not on the end"), std::string::npos) << said;
  EXPECT_EQ(said.find("corrupt"), std::string::npos) << said;
  EXPECT_TRUE(all_zero(ByteView(blocks.bytes()).subspan(kImage - 5 * 4096, 5 * 4096)));
}

TEST_F(TableEdits, LastPartitionGrows) {
  for (const std::uint64_t size : {kImage + 4096, kImage * 4 + 512}) {
    SCOPED_TRACE(size);
    MemoryBlocks blocks = disk_with(kGpt, size);
    const TableEdited done = edit(blocks, {.sector_size = 512, .grow_last = true, .ids = {}});
    ASSERT_TRUE(done.grown);
    EXPECT_EQ(done.grown->number, 2U);
    EXPECT_EQ(done.grown->offset.bytes, 4096U * 512);
    EXPECT_EQ((done.grown->offset + done.grown->length).bytes, round_down(size - 33 * 512, 4096));
    EXPECT_EQ(table().partitions.at(1).length, done.grown->length);
    EXPECT_EQ(table().partitions.at(1).guid, "aaaaaaaa-0000-0000-0000-000000000002");
    EXPECT_NE(verified().find("No problems found"), std::string::npos) << verified();
  }
}

// The last partition is the one that ends last, not the one with the highest number.
TEST_F(TableEdits, OrderOnDiskDecides) {
  MemoryBlocks blocks = disk_with("sgdisk -n 2:2048:4095 -n 1:8192:10000 $1", kImage * 2);
  const TableEdited done = edit(blocks, {.sector_size = 512, .grow_last = true, .ids = {}});
  ASSERT_TRUE(done.grown);
  EXPECT_EQ(done.grown->number, 1U);
  EXPECT_NE(verified().find("No problems found"), std::string::npos);
}

TEST_F(TableEdits, NewIds) {
  MemoryBlocks blocks = disk_with(kGpt, kImage);
  edit(blocks, {.sector_size = 512,
                .grow_last = false,
                .ids = {{"11111111-2222-3333-4444-555555555555", "99999999-2222-4333-8444-555555555555"},
                        {"aaaaaaaa-0000-0000-0000-000000000002", "bbbbbbbb-0000-4000-8000-000000000002"}}});
  EXPECT_EQ(table().id, "99999999-2222-4333-8444-555555555555");
  EXPECT_EQ(table().partitions.at(0).guid, "aaaaaaaa-0000-0000-0000-000000000001");
  EXPECT_EQ(table().partitions.at(1).guid, "bbbbbbbb-0000-4000-8000-000000000002");
  EXPECT_EQ(table().partitions.at(1).name, "root");
  EXPECT_NE(verified().find("No problems found"), std::string::npos) << verified();
}

TEST_F(TableEdits, MbrGrowsAndGetsAnId) {
  MemoryBlocks blocks =
      disk_with("printf 'label: dos\\nlabel-id: 0x12345678\\n2048,2048,82\\n4096,8192,83,*\\n' | sfdisk $1", kImage * 2);
  EXPECT_EQ(edit(blocks, {}).kind, "dos");
  EXPECT_EQ(blocks.writes, 0U) << "an MBR needs no moving";
  const TableEdited done = edit(blocks, {.sector_size = 512, .grow_last = true, .ids = {{"12345678", "9abcdef0"}}});
  ASSERT_TRUE(done.grown);
  EXPECT_EQ((done.grown->offset + done.grown->length).bytes, kImage * 2);
  EXPECT_EQ(table().id, "9abcdef0");
  EXPECT_EQ(table().partitions.at(1).length, done.grown->length);
  EXPECT_EQ(table().partitions.at(1).flags, 1U) << "still active";
}

TEST_F(TableEdits, ExtendedPartitionsAreRefused) {
  MemoryBlocks blocks = disk_with("printf 'label: dos\\n2048,2048,83\\n4096,,5\\n6144,2048,83\\n' | sfdisk $1", kImage * 2);
  const auto done = edit_table(blocks, {.sector_size = 512, .grow_last = true, .ids = {}});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::cannot_customise);
  EXPECT_EQ(blocks.writes, 0U);
}

TEST_F(TableEdits, NoTableIsLeftAlone) {
  MemoryBlocks blocks{Bytes(kImage)};
  const auto done = edit_table(blocks, {.sector_size = 512, .grow_last = true, .ids = {}});
  ASSERT_TRUE(done);
  EXPECT_EQ(done->kind, "");
  for (const std::size_t size : {0, 1, 511, 512, 4096, 70000}) {
    MemoryBlocks small{Bytes(size, std::byte{0x55})};
    ASSERT_TRUE(edit_table(small, {}));
    EXPECT_EQ(small.writes, 0U);
  }
}

// Entries that are not where a GPT may have them, a damaged header, and noise: no crash, and no table where there was none.
TEST_F(TableEdits, DamagedTables) {
  const MemoryBlocks good = disk_with(kGpt, kImage * 2);
  for (std::size_t at = 512; at < 512 + 92; ++at) {
    MemoryBlocks blocks = good;
    blocks.bytes()[at] ^= std::byte{0x5a};
    const auto done = edit_table(blocks, {.sector_size = 512, .grow_last = true, .ids = {}});
    if (done && done->kind == "gpt") FAIL() << "a header with a wrong checksum was taken for sound, byte " << at;
  }
}

TEST_F(TableEdits, WriteErrorsAreTold) {
  const MemoryBlocks good = disk_with(kGpt, kImage * 2);
  MemoryBlocks counted = good;
  ASSERT_TRUE(edit_table(counted, {}));
  for (std::size_t n = 1; n <= counted.writes; ++n) {
    MemoryBlocks blocks = good;
    blocks.fail_at = n;
    const auto done = edit_table(blocks, {});
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Code::write_failed);
  }
}

TEST(CheckGrowable, SaysWhy) {
  ImageFacts facts;
  EXPECT_EQ(check_growable(facts).error().code, Code::cannot_customise);
  facts.partitions.resize(2);
  facts.partitions[0].offset = {100};
  EXPECT_TRUE(check_growable(facts));
  EXPECT_EQ(last_partition(facts), &facts.partitions[0]);
  facts.partitions[1].type = "0x05";
  EXPECT_NE(check_growable(facts).error().message.find("extended"), std::string::npos);
}

}  // namespace
}  // namespace stampede::volume

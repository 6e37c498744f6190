#include "src/volume/free_space.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "src/base/seams.h"
#include "src/volume/domain_map.h"
#include "src/volume/served_blocks.h"
#include "tests/volume/images.h"

namespace stampede::volume {
namespace {

class FreeSpaceOf : public testing::Test {
 protected:
  void SetUp() override {
    if (!have("mke2fs") || !have("sfdisk") || !have("mkswap")) GTEST_SKIP() << "needs e2fsprogs, sfdisk and mkswap";
  }
  static void sh(const std::string& command) {
    const Ran ran = run(command);
    ASSERT_EQ(ran.code, 0) << command << "\n" << ran.output;
  }
  FreeSpace found() {
    auto out = find_free_space(disk_);
    EXPECT_TRUE(out) << out.error().message;
    return out.value_or(FreeSpace{});
  }
  static Size sum(const FreeSpace& space) {
    Size out;
    for (const BlockRange& range : space.ranges) out += range.length;
    return out;
  }
  void expect_whole(std::string_view why) {
    const FreeSpace space = found();
    EXPECT_TRUE(space.ranges.empty());
    ASSERT_EQ(space.taken_whole.size(), 1U);
    EXPECT_NE(space.taken_whole[0].find(why), std::string::npos) << space.taken_whole[0];
  }
  // What a disk that was something else before holds where the image does not care.
  void fill_with_garbage(const FreeSpace& space) {
    SeededRandom random(1);
    const File disk = std::move(File::open(disk_, O_RDWR).value());
    Bytes garbage(1U << 20);
    random.fill(garbage);
    Offset last;
    for (const BlockRange& range : space.ranges) {
      EXPECT_GE(range.at, last);
      EXPECT_GT(range.length, Size{});
      last = range.end();
      for (Offset at = range.at; at < range.end();) {
        const Size part = std::min(Size{garbage.size()}, range.end() - at);
        ASSERT_TRUE(disk.write_at(at, ByteView(garbage).first(part.bytes)));
        at += part;
      }
    }
  }
  // A table with one partition of `mib` MiB from `at` MiB on.
  void make_table(unsigned at, unsigned mib, const std::string& more = "") {
    make_disk(disk_, std::uint64_t{at + mib + 4} << 20);
    sh(fmt::format("printf 'label: gpt\\nstart={}, size={}\\n{}' | sfdisk -q {}", at * 2048, mib * 2048, more,
                   disk_.string()));
  }
  void put(const std::filesystem::path& part, unsigned at_mib) {
    sh(fmt::format("dd if={} of={} bs=1M seek={} conv=notrunc,sparse", part.string(), disk_.string(), at_mib));
  }

  Scratch scratch_;
  std::filesystem::path disk_ = scratch_ / "disk", part_ = scratch_ / "part";
};

struct Made {
  const char* name;
  const char* options;
  unsigned mib;
};
void PrintTo(const Made& made, std::ostream* out) { *out << made.name; }

class FreeSpaceOfExt : public FreeSpaceOf, public testing::WithParamInterface<Made> {};

// The proof that what is called free is: it is overwritten, and nothing of the file system is missed.
TEST_P(FreeSpaceOfExt, IsMissedByNobody) {
  const auto [name, options, mib] = GetParam();
  make_root_tree(scratch_ / "tree");
  volume::put(scratch_ / "tree/large", std::string(3 << 20, 'x'));
  make_disk(part_, std::uint64_t{mib} << 20);
  sh(fmt::format("mke2fs -q -F {} -d {} {}", options, (scratch_ / "tree").string(), part_.string()));
  // Freed blocks hold what they held.
  sh(fmt::format("debugfs -w -R 'rm /large' {} && e2fsck -fy {}", part_.string(), part_.string()));
  std::filesystem::remove(scratch_ / "tree/large");
  make_table(2, mib);
  put(part_, 2);

  const FreeSpace space = found();
  EXPECT_TRUE(space.taken_whole.empty()) << space.taken_whole[0];
  const std::string blocks =
      run(fmt::format("dumpe2fs -h {} 2>/dev/null | sed -n 's/^Free blocks: *//p'", part_.string())).output;
  const std::string size =
      run(fmt::format("dumpe2fs -h {} 2>/dev/null | sed -n 's/^Block size: *//p'", part_.string())).output;
  ASSERT_TRUE(std::isdigit(blocks[0]) != 0 && std::isdigit(size[0]) != 0) << blocks << size;
  EXPECT_NEAR(static_cast<double>(sum(space).bytes), std::stod(blocks) * std::stod(size), 65536) << name;
  fill_with_garbage(space);
  const std::string there = fmt::format("{}?offset={}", disk_.string(), 2 << 20);
  sh(fmt::format("e2fsck -fn '{}'", there));
  std::filesystem::create_directory(scratch_ / "back");
  sh(fmt::format("debugfs -R 'rdump / {}' '{}' && rmdir {}", (scratch_ / "back").string(), there,
                 (scratch_ / "back/lost+found").string()));
  sh(fmt::format("diff -r --no-dereference {} {}", (scratch_ / "tree").string(), (scratch_ / "back").string()));
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, FreeSpaceOfExt,
    testing::Values(Made{"ext4", "-t ext4 -b 4096", 40}, Made{"small blocks and many groups", "-t ext4 -b 1024", 100},
                    Made{"ext2", "-t ext2 -b 2048", 24}, Made{"ext3", "-t ext3 -b 1024", 24},
                    Made{"clusters", "-t ext4 -b 4096 -O bigalloc -C 65536", 40},
                    Made{"old group checksums", "-t ext4 -b 1024 -O ^metadata_csum,uninit_bg", 40},
                    Made{"no groups that flex", "-t ext4 -b 1024 -O ^flex_bg,^resize_inode,meta_bg", 60},
                    Made{"few backups", "-t ext4 -b 4096 -O sparse_super2,^has_journal", 40}));

TEST_F(FreeSpaceOf, AFileSystemThatCannotBeTrustedIsTakenWhole) {
  const auto made = [&](const std::string& command) {
    make_disk(part_, 32 << 20);
    sh(fmt::format("mke2fs -q -F -t ext4 -b 4096 {0}; fs={0}; {1}", part_.string(), command));
    make_table(2, 32);
    put(part_, 2);
  };
  made("true");
  EXPECT_GT(sum(found()), 16_MiB);
  made("debugfs -w -R 'feature needs_recovery' $fs");
  expect_whole("its journal needs recovery");
  made("debugfs -w -R 'ssv state 0' $fs");
  expect_whole("it was not unmounted");
  made("debugfs -w -R 'ssv free_blocks_count 17' $fs");
  expect_whole("counts 17 free blocks");
  // A bitmap with a bit that nobody set.
  made(
      "printf '\\377' | dd of=$fs bs=1 conv=notrunc seek=$((4096 * $(dumpe2fs $fs 2>/dev/null | sed -n 's/.*Block bitmap at "
      "\\([0-9]*\\).*/\\1/p' | "
      "head -n 1) + 1000))");
  expect_whole("bitmap");
  // More blocks than the partition has.
  made("true");
  sh(fmt::format(
      "printf 'label: gpt\\nstart=4096, size=40000\\n' | sfdisk -q --force --wipe never --wipe-partitions never {}",
      disk_.string()));
  expect_whole("larger than its partition");
}

TEST_F(FreeSpaceOf, EdgesAndPartitionsThatOverlapAreTakenWhole) {
  make_disk(disk_, 40 << 20);
  sh(fmt::format("mke2fs -q -F -t ext4 -b 1024 {}", disk_.string()));
  const FreeSpace whole = found();
  ASSERT_FALSE(whole.ranges.empty());
  EXPECT_GE(whole.ranges.front().at.bytes, 1U << 20);
  EXPECT_LE(whole.ranges.back().end().bytes, 39U << 20);
  make_disk(part_, 32 << 20);
  sh(fmt::format("mke2fs -q -F -t ext4 -b 4096 {}", part_.string()));
  make_table(2, 32);
  put(part_, 2);
  EXPECT_GT(sum(found()), 16_MiB);
  // sfdisk would not make such a table: the second entry of an MBR says so.
  make_disk(disk_, 40 << 20);
  sh(fmt::format("printf 'label: dos\\nstart=4096, size=65536, type=83\\nstart=69632, size=2048, type=83\\n' | sfdisk -q {}",
                 disk_.string()));
  put(part_, 2);
  EXPECT_GT(sum(found()), 16_MiB);
  sh(fmt::format("printf '\\0\\140\\0\\0' | dd of={} bs=1 seek=$((446 + 16 + 8)) conv=notrunc", disk_.string()));
  EXPECT_TRUE(found().ranges.empty());
}

TEST_F(FreeSpaceOf, SwapKeepsItsHeader) {
  make_disk(part_, 16 << 20);
  sh(fmt::format("mkswap -q -U 11111111-2222-3333-4444-555555555555 -L swapped {}", part_.string()));
  make_table(2, 20);
  put(part_, 2);
  const FreeSpace space = found();
  EXPECT_EQ(space.ranges, (std::vector<BlockRange>{{{(2U << 20) + 4096}, Size{(16U << 20) - 4096}}}));
  fill_with_garbage(space);
  const std::string said = run(fmt::format("blkid -p -O {} {}", 2 << 20, disk_.string())).output;
  EXPECT_NE(said.find("11111111-2222-3333-4444-555555555555"), std::string::npos) << said;
  EXPECT_NE(said.find("swapped"), std::string::npos) << said;
}

struct Foreign {
  const char* type;
  const char* make;   // $part, $tree: a folder with a large file
  const char* check;  // $part
  unsigned mib;
};
void PrintTo(const Foreign& foreign, std::ostream* out) { *out << foreign.type; }

class FreeSpaceOfOthers : public FreeSpaceOf, public testing::WithParamInterface<Foreign> {};

// Every line of the file is still there when what is free was overwritten, and the file system's own tool is content.
TEST_P(FreeSpaceOfOthers, IsMissedByNobody) {
  const auto [type, make, check, mib] = GetParam();
  if (!have(fmt::format("partclone.{}", type))) GTEST_SKIP() << "needs partclone";
  if (!check_can_serve()) GTEST_SKIP() << "needs FUSE";
  std::string text;
  for (int line = 0; line < 40000; ++line) text += fmt::format("line {:6} of a file\n", line);
  volume::put(scratch_ / "tree/file", text);
  make_disk(part_, std::uint64_t{mib} << 20);
  const std::string names = fmt::format("part={}; tree={}; ", part_.string(), (scratch_ / "tree").string());
  sh(names + make);
  make_table(2, mib);
  put(part_, 2);
  const auto lines = [&] { return run(fmt::format("grep -ao 'line [ 0-9]* of a file' {} | wc -l", disk_.string())).output; };
  ASSERT_EQ(lines(), "40000\n");

  const FreeSpace space = found();
  ASSERT_TRUE(space.taken_whole.empty()) << space.taken_whole[0];
  EXPECT_GT(sum(space), Size{std::uint64_t{mib} << 19});
  fill_with_garbage(space);
  EXPECT_EQ(lines(), "40000\n");
  sh(fmt::format("dd if={} of={} bs=1M skip=2 count={}", disk_.string(), part_.string(), mib));
  sh(names + check);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, FreeSpaceOfOthers,
    testing::Values(Foreign{"vfat", "mkfs.vfat -F 32 $part && mcopy -i $part $tree/file ::", "fsck.vfat -n $part", 64},
                    Foreign{"xfs",
                            "printf '/\n0 0\nd--755 0 0\nfile ---644 0 0 %s\n$\n' $tree/file >$tree.proto; "
                            "mkfs.xfs -q -p $tree.proto $part",
                            "xfs_repair -n -f $part", 320},
                    Foreign{"btrfs", "mkfs.btrfs -q --rootdir $tree $part", "btrfs check --check-data-csum $part", 128},
                    Foreign{"ntfs", "mkfs.ntfs -F -q $part && ntfscp -f $part $tree/file file", "ntfsfix -n $part", 64}));

TEST_F(FreeSpaceOf, OthersThatAreNotSoundAreTakenWhole) {
  if (!have("partclone.vfat") || !check_can_serve()) GTEST_SKIP() << "needs partclone and FUSE";
  make_disk(part_, 64U << 20);
  sh(fmt::format("mkfs.vfat -F 32 {}", part_.string()));
  make_table(2, 64);
  put(part_, 2);
  EXPECT_FALSE(found().ranges.empty());
  // The mark of a FAT that is in use, in both copies.
  const File disk = std::move(File::open(disk_, O_RDWR).value());
  for (const std::uint64_t fat : {0U, 1U})
    ASSERT_TRUE(disk.write_at({(2U << 20) + 32 * 512 + fat * 1009 * 512 + 7}, Bytes{std::byte{0x07}}));
  expect_whole("partclone");
}

// As they are when their machine loses its power: partclone alone would not mind.
TEST_F(FreeSpaceOf, OthersWithALogToReplayAreTakenWhole) {
  if (!have("partclone.xfs") || !check_can_serve()) GTEST_SKIP() << "needs partclone and FUSE";
  for (const std::string type : {"xfs", "btrfs"}) {
    SCOPED_TRACE(type);
    make_disk(part_, 320U << 20);
    const auto folder = scratch_ / "mounted";
    std::filesystem::create_directories(folder);
    sh(fmt::format("mkfs.{} -q {}", type, part_.string()));
    // A copy while it is mounted, with a file that was made durable.
    const Ran ran = run(fmt::format(
        "set -e; dev=$(losetup -f --show {0}); trap 'umount {1}; losetup -d $dev' EXIT; mount $dev {1}; echo x >{1}/a; "
        "sync -f {1}; head -c 9M /dev/urandom >{1}/b; sync {1}/b; cp --sparse=always {0} {0}.live",
        part_.string(), folder.string()));
    if (ran.code != 0) GTEST_SKIP() << "cannot mount " << type << ": " << ran.output;
    make_table(2, 320);
    put(part_.string() + ".live", 2);
    expect_whole("its log holds what is to be done yet");
    // And once it is unmounted.
    make_table(2, 320);
    put(part_, 2);
    EXPECT_TRUE(found().taken_whole.empty());
    EXPECT_FALSE(found().ranges.empty());
  }
}

std::vector<BlockRange> decoded(std::string_view text, std::uint64_t length = 0x9000) {
  const auto out = decode_domain_map(text, {0x100000}, {length});
  return out.value_or(std::vector<BlockRange>{{{}, {}}});
}

TEST(DomainMap, IsReadStrictly) {
  const std::vector<BlockRange> bad{{{}, {}}};
  EXPECT_EQ(decoded("# hello\n0x9000  ?\n# pos\n0x0 0x1000 +\n0x00001000 0x8000  ?\n"),
            (std::vector<BlockRange>{{{0x101000}, {0x8000}}}));
  EXPECT_EQ(decoded("0x9000 ?\n0x0 0x1000 +\n0x1000 0x2000 ?\n0x3000 0x1000 +\n0x4000 0x5000 ?"),
            (std::vector<BlockRange>{{{0x101000}, {0x2000}}, {{0x104000}, {0x5000}}}));
  for (const std::string_view text : {
           "",
           "0x9000 ?\n",
           "0x9000\n0x0 0x9000 +\n",
           "0x9000 ? 1\n0x0 0x9000 +\n",
           "0x9000 ?\n0x0 0x1000 +\n",                     // ends too soon
           "0x9000 ?\n0x0 0x1000 +\n0x1000 0x8001 ?\n",    // and too late
           "0xa000 ?\n0x0 0x1000 +\n0x1000 0x9000 ?\n",    // beyond the partition
           "0x9000 ?\n0x0 0x1000 +\n0x2000 0x7000 ?\n",    // a gap
           "0x9000 ?\n0x0 0x2000 +\n0x1000 0x8000 ?\n",    // an overlap
           "0x9000 ?\n0x0 0x9000 ?\n",                     // its first block free
           "0x9000 ?\n0x0 0x1000 +\n0x1000 0x8000 *\n",    // something else
           "0x9000 ?\n0x0 0x1000 +\n0x1000 0x8000 ? ?\n",  //
           "0x9000 ?\n0x0 0x1000 +\n0x1000 0x0 ?\n0x1000 0x8000 ?\n",
           "0x9000 ?\n0x0 0x1000 +\n0x1000 -0x8000 ?\n",
           "0x9000 ?\n0x0 0x1000 +\n0x1000 32768 ?\n",
           "0x9000 ?\n0x0 0x1000 +\n0x1000 0xffffffffffffffffff ?\n",
           "Warning\n0x9000 ?\n0x0 0x1000 +\n0x1000 0x8000 ?\n",
       })
    EXPECT_EQ(decoded(text), bad) << text;
}

TEST_F(FreeSpaceOf, VerityCoversFreeBlocksToo) {
  if (!have("veritysetup")) GTEST_SKIP() << "needs veritysetup";
  make_disk(part_, 16 << 20);
  sh(fmt::format("mke2fs -q -F -t ext4 -b 4096 {}", part_.string()));
  make_table(2, 16, "start=36864, size=2048\\n");
  put(part_, 2);
  EXPECT_FALSE(found().ranges.empty());
  sh(fmt::format("veritysetup format {0} {0}.hash && dd if={0}.hash of={1} bs=1M seek=18 conv=notrunc", part_.string(),
                 disk_.string()));
  expect_whole("dm-verity");
}

TEST_F(FreeSpaceOf, NothingKnownNothingFree) {
  make_disk(disk_, 8 << 20);
  EXPECT_TRUE(found().ranges.empty());
  EXPECT_TRUE(found().taken_whole.empty());
  EXPECT_FALSE(find_free_space(scratch_ / "absent"));
}

}  // namespace
}  // namespace stampede::volume

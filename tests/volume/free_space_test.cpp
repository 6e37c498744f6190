#include "src/volume/free_space.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "src/base/seams.h"
#include "src/volume/domain_map.h"
#include "src/volume/ext4.h"
#include "src/volume/inspect.h"
#include "src/volume/lvm.h"
#include "src/volume/served_blocks.h"
#include "src/volume/settled.h"
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
    for (const Range& range : space.ranges) out += range.length;
    return out;
  }
  void expect_whole(std::string_view why) {
    const FreeSpace space = found();
    EXPECT_TRUE(space.ranges.empty());
    ASSERT_EQ(space.taken_whole.size(), 1U);
    EXPECT_NE(space.taken_whole[0].find(why), std::string::npos) << space.taken_whole[0];
  }
  // What disk_use() calls used and free, and what is idle, makes up the partition of `mib` MiB at 2 MiB, and the free of it
  // is that of `space`.
  void expect_use(unsigned mib, const FreeSpace& space) {
    const auto use = disk_use(disk_);
    ASSERT_TRUE(use) << use.error().message;
    Size free;
    for (const Range& range : use->free) free += range.length;
    EXPECT_EQ(free, sum(space));
    std::vector<Range> all = use->used;
    all.insert(all.end(), use->free.begin(), use->free.end());
    const auto blocks = open_blocks(disk_, false).value();
    if (const auto files = Ext4::look(*blocks, {2U << 20})) {
      const auto idle = files->idle();
      ASSERT_TRUE(idle) << idle.error().message;
      all.insert(all.end(), idle->begin(), idle->end());
    }
    std::ranges::sort(all, {}, &Range::at);
    Offset at{2U << 20};
    for (const Range& range : all) {
      EXPECT_EQ(range.at, at);
      at = range.end();
    }
    EXPECT_EQ(at, Offset{std::uint64_t{2 + mib} << 20});
  }
  // What a disk that was something else before holds where the image does not care.
  void fill_with_garbage(const FreeSpace& space) {
    SeededRandom random(1);
    const File disk = std::move(File::open(disk_, O_RDWR).value());
    Bytes garbage(1U << 20);
    random.fill(garbage);
    Offset last;
    for (const Range& range : space.ranges) {
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
std::ostream& operator<<(std::ostream& out, const Made& made) { return out << made.name; }

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
  expect_use(mib, space);
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
  EXPECT_EQ(space.ranges, (std::vector<Range>{{{(2U << 20) + 4096}, Size{(16U << 20) - 4096}}}));
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
std::ostream& operator<<(std::ostream& out, const Foreign& foreign) { return out << foreign.type; }

class FreeSpaceOfOthers : public FreeSpaceOf, public testing::WithParamInterface<Foreign> {};

// Every line of the file is still there when what is free was overwritten, and the file system's own tool is content.
TEST_P(FreeSpaceOfOthers, IsMissedByNobody) {
  const auto [type, make, check, mib] = GetParam();
  if (!have(fmt::format("partclone.{}", type)) && std::string_view(type) != "vfat") GTEST_SKIP() << "needs partclone";
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
  expect_use(mib, std::string_view(type) == "vfat" ? space : FreeSpace());
  fill_with_garbage(space);
  EXPECT_EQ(lines(), "40000\n");
  sh(fmt::format("dd if={} of={} bs=1M skip=2 count={}", disk_.string(), part_.string(), mib));
  sh(names + check);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, FreeSpaceOfOthers,
    testing::Values(Foreign{"vfat", "mkfs.vfat -F 32 $part && mcopy -i $part $tree/file ::", "fsck.vfat -n $part", 64},
                    Foreign{"vfat", "mkfs.vfat -F 16 -s 4 $part && mcopy -i $part $tree/file ::", "fsck.vfat -n $part", 32},
                    Foreign{"vfat", "mkfs.vfat -F 12 -s 16 $part && mcopy -i $part $tree/file ::", "fsck.vfat -n $part", 16},
                    Foreign{"xfs",
                            "printf '/\n0 0\nd--755 0 0\nfile ---644 0 0 %s\n$\n' $tree/file >$tree.proto; "
                            "mkfs.xfs -q -p $tree.proto $part",
                            "xfs_repair -n -f $part", 320},
                    Foreign{"btrfs", "mkfs.btrfs -q --rootdir $tree $part", "btrfs check --check-data-csum $part", 128},
                    Foreign{"ntfs", "mkfs.ntfs -F -q $part && ntfscp -f $part $tree/file file", "ntfsfix -n $part", 64}));

TEST_F(FreeSpaceOf, AFatThatIsNotSoundIsTakenWhole) {
  if (!have("mkfs.vfat")) GTEST_SKIP() << "needs dosfstools";
  make_disk(part_, 64U << 20);
  sh(fmt::format("mkfs.vfat -F 32 {}", part_.string()));
  const auto spoil = [&](std::uint64_t at, int value) {
    make_table(2, 64);
    put(part_, 2);
    EXPECT_GT(sum(found()), 60_MiB);
    const File disk = std::move(File::open(disk_, O_RDWR).value());
    ASSERT_TRUE(disk.write_at({(2U << 20) + at}, Bytes{std::byte(value)}));
  };
  constexpr std::uint64_t kTable = 32 * 512;
  spoil(kTable + 7, 0x07);
  expect_whole("was not unmounted");
  spoil(65, 1);
  expect_whole("was not unmounted");
  spoil(kTable + 400, 1);
  expect_whole("copies of its table differ");
}

// As it is when its machine loses its power: partclone alone would not mind.
TEST_F(FreeSpaceOf, XfsWithALogToReplayIsTakenWhole) {
  if (!have("partclone.xfs") || !check_can_serve()) GTEST_SKIP() << "needs partclone and FUSE";
  make_disk(part_, 320U << 20);
  const auto folder = scratch_ / "mounted";
  std::filesystem::create_directories(folder);
  sh(fmt::format("mkfs.xfs -q {}", part_.string()));
  // A copy while it is mounted, with a file that was made durable.
  const Ran ran =
      run(fmt::format("set -e; dev=$(losetup -f --show {0}); trap 'umount {1}; losetup -d $dev' EXIT; mount $dev {1}; "
                      "head -c 9M /dev/urandom >{1}/b; sync {1}/b; cp --sparse=always {0} {0}.live",
                      part_.string(), folder.string()));
  if (ran.code != 0) GTEST_SKIP() << "cannot mount XFS: " << ran.output;
  make_table(2, 320);
  put(part_.string() + ".live", 2);
  expect_whole("its log holds what is to be done yet");
  // And once it is unmounted.
  make_table(2, 320);
  put(part_, 2);
  EXPECT_TRUE(found().taken_whole.empty());
  EXPECT_FALSE(found().ranges.empty());
}

TEST(Settled, BtrfsHasNoLogAndOneDisk) {
  const auto said = [](std::uint8_t log, std::uint8_t disks) {
    Bytes bytes(128 << 10);
    std::ranges::copy(as_bytes("_BHRfS_M"), bytes.begin() + (64 << 10) + 64);
    bytes[(64 << 10) + 96] = std::byte{log};
    bytes[(64 << 10) + 136] = std::byte{disks};
    MemoryBlocks blocks(bytes);
    const auto done = check_settled(blocks, {}, blocks.size(), "btrfs");
    return done ? std::string() : done.error().message;
  };
  EXPECT_EQ(said(0, 1), "");
  EXPECT_NE(said(1, 1).find("its log holds"), std::string::npos);
  EXPECT_NE(said(0, 2).find("several disks"), std::string::npos);
}

// The restart pages of mkntfs are all ones; those of a mounted one say that it has a user, and lack the mark of a clean end.
TEST_F(FreeSpaceOf, NtfsThatWasNotShutDownIsTakenWhole) {
  if (!have("mkfs.ntfs") || !have("partclone.ntfs") || !check_can_serve())
    GTEST_SKIP() << "needs ntfs-3g, partclone and FUSE";
  make_disk(part_, 64U << 20);
  sh(fmt::format("mkfs.ntfs -F -q {}", part_.string()));
  const std::string at =
      run(fmt::format("ntfscluster -f -I 2 {} 2>/dev/null | awk '$1 == 0 && NF == 3 {{ print $2; exit }}'", part_.string()))
          .output;
  ASSERT_FALSE(at.empty());
  make_table(2, 64);
  put(part_, 2);
  EXPECT_TRUE(found().taken_whole.empty());
  const auto set = [&](std::uint16_t clients, std::uint16_t flags) {
    Bytes page(4096);
    std::ranges::copy(as_bytes("RSTR"), page.begin());
    page[17] = std::byte{0x10};  // pages of 4 KiB
    page[24] = std::byte{48};
    page[48 + 12] = page[48 + 13] = std::byte(clients & 0xffU);
    page[48 + 14] = std::byte(flags);
    const File disk = std::move(File::open(disk_, O_RDWR).value());
    ASSERT_TRUE(disk.write_at({(2U << 20) + std::stoull(at) * 4096}, page));
  };
  set(0, 0);
  expect_whole("its log holds what is to be done yet");
  set(0, 2);
  EXPECT_TRUE(found().taken_whole.empty());
  set(0xffff, 0);
  EXPECT_TRUE(found().taken_whole.empty());
}

std::vector<Range> decoded(std::string_view text, std::uint64_t length = 0x9000) {
  const auto out = decode_domain_map(text, {0x100000}, {length});
  return out.value_or(std::vector<Range>{{{}, {}}});
}

TEST(DomainMap, IsReadStrictly) {
  const std::vector<Range> bad{{{}, {}}};
  EXPECT_EQ(decoded("# hello\n0x9000  ?\n# pos\n0x0 0x1000 +\n0x00001000 0x8000  ?\n"),
            (std::vector<Range>{{{0x101000}, {0x8000}}}));
  EXPECT_EQ(decoded("0x9000 ?\n0x0 0x1000 +\n0x1000 0x2000 ?\n0x3000 0x1000 +\n0x4000 0x5000 ?"),
            (std::vector<Range>{{{0x101000}, {0x2000}}, {{0x104000}, {0x5000}}}));
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

TEST_F(FreeSpaceOf, ExtentsThatNoLogicalVolumeHas) {
  if (!have("lvcreate")) GTEST_SKIP() << "needs lvm2";
  make_disk(part_, 64U << 20);
  const Ran ran = run(fmt::format(
      "set -e; dev=$(losetup -f --show {}); trap 'losetup -d $dev' EXIT; with='--driverloaded n --config "
      "devices{{use_devicesfile=0}}'; pvcreate -qq -ff -y $with $dev; vgcreate -qq -y $with stampede-test $dev; "
      "for lv in 'a 3' 'b 2' 'c 4'; do set -- $lv; lvcreate $with -an -Zn -Wn -y -n $1 -l $2 stampede-test; done; "
      "lvremove $with -y stampede-test/a",
      part_.string()));
  if (ran.code != 0) GTEST_SKIP() << "LVM does not work here: " << ran.output;
  make_table(2, 64);
  put(part_, 2);
  const FreeSpace space = found();
  ASSERT_TRUE(space.taken_whole.empty()) << space.taken_whole[0];
  // Of 15 extents of 4 MiB behind the first MiB three are free before b and c, and six behind them.
  EXPECT_EQ(space.ranges, (std::vector<Range>{{{3U << 20}, Size{12U << 20}}, {{39U << 20}, Size{24U << 20}}}));
  const File disk = std::move(File::open(disk_, O_RDWR).value());
  ASSERT_TRUE(disk.write_at({(2U << 20) + 4096 + 40}, Bytes(8, std::byte{1})));  // where the metadata is
  expect_whole("metadata area is not understood");
}

constexpr std::string_view kGroup = R"(vg {
  extent_size = 8
  physical_volumes {
    pv0 { id = "aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa"
      pe_start = 16   # sectors
      pe_count = 10 }
    pv1 { id = "bbbbbb-bbbb-bbbb-bbbb-bbbb-bbbb-bbbbbb" pe_start = 16 pe_count = 10 }
  }
  logical_volumes {
    lv { segment1 { type = "striped" extent_count = 4 stripes = ["pv0", 2, "pv1", 0] }
         segment2 { type = "striped" extent_count = 1 stripes = [ "pv0", 6, ] } }
    pool { segment1 { type = "thin-pool" metadata = "meta" extent_count = 3 } }
    more { segment1 { type = "raid1" extent_count = 3 raids = ["lv", "pool"] } }
  }
}
description = "a \"word\""
)";

std::string extents_of(std::string text, std::string_view from = "", std::string_view to = "") {
  if (!from.empty()) text.replace(text.find(from), from.size(), to);
  const auto found = free_extents_of(text, std::string(32, 'a'), {0}, {400 * 512});
  if (!found) return found.error().message;
  std::string out;
  for (const Range& range : *found) out += fmt::format("{}+{} ", range.at.bytes / 512, range.length.bytes / 512);
  return out;
}

TEST(LvmText, IsReadStrictly) {
  const std::string group(kGroup);
  EXPECT_EQ(extents_of(group), "16+16 48+16 72+24 ");
  EXPECT_EQ(extents_of(group, "logical_volumes {", "others { } logical_volumes {"), "16+16 48+16 72+24 ");
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"raids = [\"lv\"", "mirrors = [\"pv0\""},  // not known
           {"\"meta\"", "\"pv0\""},
           {"pv0\", 6", "pv0\", 3"},   // overlaps
           {"pv0\", 6", "pv0\", 10"},  // beyond the end
           {"pv0\", 6", "pvx\", 6"},   // nobody
           {"pv0\", 6", "pv0\", \"6\""},
           {"extent_count = 4", "extent_count = 5"},
           {"extent_count = 4", "count = 4"},
           {"pe_count = 10", "pe_count = 50"},
           {"pe_count = 10", "pe_count = 18446744073709551615"},
           {"pe_start = 16", "pe_start = 16 pe_start = 16"},
           {"extent_size = 8", "extent_size = 0"},
           {"extent_size = 8", "extent_size = -8"},
           {"aaaaaa-aaaa", "aaaaab-aaaa"},
           {"description", "}"},
           {"description = ", "description = ["},
       })
    EXPECT_EQ(std::isdigit(extents_of(group, from, to)[0]), 0) << from << " → " << to;
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

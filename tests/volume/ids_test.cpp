#include "src/volume/ids.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/volume/ext4.h"
#include "src/volume/fat.h"
#include "src/volume/id_mentions.h"
#include "src/volume/packed.h"
#include "src/volume/swap.h"
#include "tests/volume/images.h"

namespace stampede::volume {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kDisk = "11111111-2222-3333-4444-555555555555";
constexpr const char* kRoot = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
constexpr const char* kRootPart = "aaaaaaaa-0000-0000-0000-000000000003";
constexpr const char* kNew = "99999999-0000-4000-8000-000000000000";

ImageFacts facts_of(std::string table, std::string id, std::size_t partitions) {
  ImageFacts facts;
  facts.table = std::move(table);
  facts.disk_guid = std::move(id);
  facts.partitions.resize(partitions);
  for (unsigned i = 0; i < partitions; ++i) facts.partitions[i].number = i + 1;
  return facts;
}

ImageFacts gpt_facts() {
  ImageFacts facts = facts_of("gpt", kDisk, 3);
  const auto fill = [&](std::size_t i, std::string guid, std::string filesystem, std::string uuid) {
    facts.partitions[i].guid = std::move(guid);
    facts.partitions[i].filesystem = std::move(filesystem);
    facts.partitions[i].uuid = std::move(uuid);
  };
  fill(0, "", "vfat", "ABCD-1234");
  fill(1, kRootPart, "ext4", kRoot);
  fill(2, kRoot, "xfs", "bbbbbbbb-bbbb-cccc-dddd-eeeeeeeeeeee");
  return facts;
}

TEST(FreshIds, OneForEachAndSameForSame) {
  SeededRandom random(7);
  const NewIds ids = fresh_ids(gpt_facts(), random);
  ASSERT_EQ(ids.size(), 3U);  // the last partition's GUID is the root's UUID; FAT's serial and XFS's UUID stay
  for (const auto& [old, fresh] : ids) {
    EXPECT_EQ(fresh.size(), old.size());
    EXPECT_NE(fresh, old);
    EXPECT_EQ(fresh[14], '4');
    EXPECT_NE(std::string_view("89ab").find(fresh[19]), std::string_view::npos);
  }
  EXPECT_NE(fresh_ids(gpt_facts(), random), ids);
}

TEST(FreshIds, PartitionsOfAnMbrFollowIt) {
  SeededRandom random(7);
  ImageFacts facts = facts_of("dos", "12345678", 2);
  const NewIds ids = fresh_ids(facts, random);
  ASSERT_EQ(ids.size(), 3U);
  EXPECT_EQ(ids.at("12345678-02"), ids.at("12345678") + "-02");
  EXPECT_EQ(ids.at("12345678").size(), 8U);
}

TEST(WithNewIds, WholeWordsInEitherCase) {
  const NewIds ids{{kRoot, kNew}, {"12345678-02", "9abcdef0-02"}, {"12345678", "9abcdef0"}};
  const auto text = [&](std::string in) { return with_new_ids(std::move(in), ids); };
  EXPECT_EQ(text(fmt::format("UUID={} / ext4\nroot=UUID={}", kRoot, "AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE")),
            fmt::format("UUID={} / ext4\nroot=UUID={}", kNew, kNew));
  EXPECT_EQ(text("PARTUUID=12345678-02 12345678-021 x12345678-02 12345678 12345678-03"),
            "PARTUUID=9abcdef0-02 12345678-021 x12345678-02 12345678 12345678-03");
  EXPECT_EQ(text(fmt::format("{}{}", kRoot, "0")), fmt::format("{}{}", kRoot, "0"));
  EXPECT_EQ(text(""), "");
  EXPECT_EQ(text("-"), "-");
  EXPECT_TRUE(mentions(as_bytes(kRoot), ids));
  EXPECT_FALSE(mentions(as_bytes(std::string_view(kRoot).substr(1)), ids));
}

class Packed : public testing::Test {
 protected:
  Bytes made(const std::string& command) {
    const Ran ran = run(fmt::format("cd {} && {} > out", scratch_.path().string(), command));
    EXPECT_EQ(ran.code, 0) << ran.output;
    return MemoryBlocks::load(scratch_ / "out").bytes();
  }
  Scratch scratch_;
  const NewIds ids_{{kRoot, kNew}};
};

TEST_F(Packed, LooksInside) {
  if (!have("cpio") || !have("zstd") || !have("xz") || !have("lz4")) GTEST_SKIP() << "needs cpio, zstd, xz and lz4";
  put(scratch_ / "tree/conf/conf.d/zz-resume-auto", fmt::format("RESUME=UUID={}\n", kRoot));
  put(scratch_ / "tree/kernel/early", "microcode");
  const std::string conf = "(cd tree; find conf | cpio -o -H newc)", early = "(cd tree; find kernel | cpio -o -H newc)";
  for (const char* pack : {"cat", "gzip", "zstd -q", "xz", "bzip2", "lz4 -l -q", "lzma"}) {
    SCOPED_TRACE(pack);
    const Bytes with = made(fmt::format("({1}; head -c 512 /dev/zero; {0} | {2})", conf, early, pack));
    const Bytes without = made(fmt::format("({0}; {0} | {1})", early, pack));
    EXPECT_TRUE(is_packed(with));
    EXPECT_EQ(packed_mentions(with, ids_), true);
    EXPECT_EQ(packed_mentions(without, ids_), false);
    EXPECT_EQ(packed_mentions(made(fmt::format("{} | {}", conf, pack)), ids_), true);
  }
}

// An id that two windows of the unpacked bytes share.
TEST_F(Packed, AcrossWindows) {
  if (!have("gzip")) GTEST_SKIP() << "needs gzip";
  for (std::size_t before = (1U << 20) - 40; before < (1U << 20) + 2; before += 3) {
    put(scratch_ / "plain", std::string(before, '.') + kRoot + ".");
    EXPECT_EQ(packed_mentions(made("gzip -1 < plain"), ids_), true) << before;
  }
}

TEST_F(Packed, DamageIsAnErrorAndTextIsNotPacked) {
  put(scratch_ / "plain", std::string(100000, '.'));
  Bytes packed = made("gzip < plain");
  packed.resize(packed.size() / 2);
  EXPECT_EQ(packed_mentions(packed, ids_).error().code, Code::read_failed);
  EXPECT_FALSE(is_packed(as_bytes("UUID=")));
  EXPECT_FALSE(is_packed({}));
}

class FatFiles : public testing::TestWithParam<const char*> {};

TEST_P(FatFiles, ReadsAndOverwrites) {
  if (!have("mkfs.vfat") || !have("mcopy")) GTEST_SKIP() << "needs dosfstools and mtools";
  Scratch scratch;
  const std::string big(100001, 'b');
  put(scratch / "tree/EFI/debian/grub.cfg", "search.fs_uuid\n");
  put(scratch / "tree/big.dat", big);
  put(scratch / "tree/empty", "");
  const Ran made =
      run(fmt::format("cd {0} && mkfs.vfat -C fs {1} && mcopy -s -i fs tree/* :: ", scratch.path().string(), GetParam()));
  ASSERT_EQ(made.code, 0) << made.output;
  MemoryBlocks part = MemoryBlocks::load(scratch / "fs");
  Bytes disk(4096);
  disk.insert(disk.end(), part.bytes().begin(), part.bytes().end());
  MemoryBlocks blocks(std::move(disk));
  auto fat = Fat::open(blocks, {4096}, part.size());
  ASSERT_TRUE(fat) << fat.error().message;
  auto files = fat->files();
  ASSERT_TRUE(files) << files.error().message;
  std::ranges::sort(*files, {}, &Fat::Entry::path);
  ASSERT_EQ(files->size(), 3U);
  EXPECT_EQ((*files)[0].path, "/BIG.DAT");
  EXPECT_EQ((*files)[1].path, "/EFI/DEBIAN/GRUB.CFG");
  EXPECT_EQ(as_text(fat->read((*files)[0], 1_MiB).value()), big);
  EXPECT_TRUE(fat->read((*files)[2], 1_MiB).value().empty());
  EXPECT_FALSE(fat->read((*files)[0], 1_KiB));
  const std::string other(100001, 'c');
  ASSERT_TRUE(fat->overwrite((*files)[0], as_bytes(other)));
  EXPECT_EQ(as_text(fat->read((*files)[0], 1_MiB).value()), other);
  EXPECT_EQ(as_text(fat->read((*files)[1], 1_MiB).value()), "search.fs_uuid\n");
  EXPECT_FALSE(fat->overwrite((*files)[0], as_bytes("short")));
}

TEST_P(FatFiles, RemovesWithoutATrace) {
  if (!have("mkfs.vfat") || !have("mcopy") || !have("fsck.vfat")) GTEST_SKIP() << "needs dosfstools and mtools";
  Scratch scratch;
  for (int i = 0; i < 40; ++i) put(scratch / fmt::format("tree/loader/a-long-name-number-{}", i), std::string(3000, 'x'));
  put(scratch / "tree/loader/random-seed", std::string(9000, 'S'));
  const Ran made =
      run(fmt::format("cd {0} && mkfs.vfat -C fs {1} && mcopy -s -i fs tree/* :: ", scratch.path().string(), GetParam()));
  ASSERT_EQ(made.code, 0) << made.output;
  MemoryBlocks blocks = MemoryBlocks::load(scratch / "fs");
  auto fat = Fat::open(blocks, {}, blocks.size());
  ASSERT_TRUE(fat) << fat.error().message;
  const auto files = fat->files().value();
  const auto seed = std::ranges::find(files, "/LOADER/RANDOM~1", &Fat::Entry::path);
  ASSERT_NE(seed, files.end());
  EXPECT_EQ(seed->slots.size(), 2U);
  ASSERT_TRUE(fat->remove(*seed));
  blocks.save(scratch / "fs");
  EXPECT_EQ(as_text(blocks.bytes()).find("SSSS"), std::string_view::npos);
  const Ran listed = run(fmt::format("mdir -b -i {} ::/loader", (scratch / "fs").string()));
  EXPECT_EQ(std::ranges::count(listed.output, '\n'), 40) << listed.output;
  EXPECT_EQ(listed.output.find("random-seed"), std::string::npos);
  const Ran check = run("fsck.vfat -n " + (scratch / "fs").string());
  EXPECT_EQ(check.code, 0) << check.output;
  EXPECT_EQ(Fat::open(blocks, {}, blocks.size())->files()->size(), 40U);
}

INSTANTIATE_TEST_SUITE_P(Sizes, FatFiles,
                         testing::Values("-F 12 4096", "-F 16 20480", "-F 32 40960", "-F 32 -s 1 40960",
                                         "-F 16 -S 4096 65536"));

// An image with an ESP, a root and swap, whose files are what each test puts there.
class IdMentions : public testing::Test {
 protected:
  void SetUp() override {
    if (!have("mkfs.vfat") || !have("mcopy") || !have("sgdisk")) GTEST_SKIP() << "needs dosfstools, mtools and sgdisk";
    make_root_tree(tree_);
    put(tree_ / "etc/fstab", fmt::format("UUID={} / ext4 defaults 0 1\nPARTUUID={} /old none\n", kRoot, kRootPart));
    put(tree_ / "boot/grub/grub.cfg", fmt::format("search --fs-uuid --set=root {0}\nlinux root=UUID={0} ro\n", kRoot));
    put(tree_ / "boot/vmlinuz", std::string("MZ\0\0", 4));
    put(esp_ / "EFI/debian/grub.cfg", fmt::format("search.fs_uuid {} root\n", kRoot));
  }
  MemoryBlocks image() {
    const std::string command = fmt::format(
        "cd {0} && truncate -s 40M disk && "
        "sgdisk -U {1} -n 1:2048:+8M -t 1:ef00 -n 2:0:+16M -t 2:8304 -u 2:{2} -n 3:0:+4M -t 3:8200 disk && "
        "mkfs.vfat -C esp.img 8192 && (cd esp && mcopy -s -i ../esp.img * ::) && dd if=esp.img of=disk bs=1M seek=1 "
        "conv=notrunc && "
        "truncate -s 16M root.img && mke2fs -q -F -t ext4 -U {3} -d tree root.img && "
        "dd if=root.img of=disk bs=1M seek=9 conv=notrunc && truncate -s 4M swap.img && mkswap -U {4} swap.img && "
        "dd if=swap.img of=disk bs=1M seek=25 conv=notrunc",
        scratch_.path().string(), kDisk, kRootPart, kRoot, "cccccccc-bbbb-4ccc-8ddd-eeeeeeeeeeee");
    const Ran made = run(command);
    EXPECT_EQ(made.code, 0) << made.output;
    facts_ = inspect(scratch_ / "disk").value();
    return MemoryBlocks::load(scratch_ / "disk");
  }
  Scratch scratch_;
  std::filesystem::path tree_ = scratch_ / "tree", esp_ = scratch_ / "esp";
  ImageFacts facts_;
};

TEST_F(IdMentions, TextsFollow) {
  MemoryBlocks blocks = image();
  ASSERT_EQ(facts_.fixed_ids, std::vector<std::string>{});
  SeededRandom random(3);
  const NewIds ids = fresh_ids(facts_, random);
  EXPECT_EQ(ids.size(), 6U);  // disk, three partitions, ext4, swap
  const auto changed = replace_ids(blocks, facts_, ids);
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_THAT(*changed,
              testing::UnorderedElementsAre("partition 1: /EFI/DEBIAN/GRUB.CFG", "/etc/fstab", "/boot/grub/grub.cfg"));
  auto files = Ext4::open(blocks, facts_.root->offset, false);
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_EQ(as_text(files->read("/etc/fstab", 1_KiB).value()),
            fmt::format("UUID={} / ext4 defaults 0 1\nPARTUUID={} /old none\n", ids.at(kRoot), ids.at(kRootPart)));
  ASSERT_TRUE(set_swap_uuid(blocks, facts_.partitions[2].offset, ids.at(facts_.partitions[2].uuid)));
  blocks.save(scratch_ / "disk");
  EXPECT_EQ(inspect(scratch_ / "disk")->partitions[2].uuid, ids.at(facts_.partitions[2].uuid));
  EXPECT_EQ(run(fmt::format("e2fsck -fn {}?offset={}", (scratch_ / "disk").string(), facts_.root->offset.bytes)).code, 0);
  EXPECT_THAT(run(fmt::format("mtype -i {}@@1M ::EFI/debian/grub.cfg", (scratch_ / "disk").string())).output,
              HasSubstr(ids.at(kRoot)));
}

TEST_F(IdMentions, InitramfsThatResumesKeepsThem) {
  put(scratch_ / "i/conf/conf.d/zz-resume-auto", "RESUME=UUID=cccccccc-bbbb-4ccc-8ddd-eeeeeeeeeeee\n");
  ASSERT_EQ(run(fmt::format("cd {} && find conf | cpio -o -H newc | gzip > {}/boot/initrd.img-6.1",
                            (scratch_ / "i").string(), tree_.string()))
                .code,
            0);
  MemoryBlocks blocks = image();
  EXPECT_THAT(facts_.fixed_ids.value(), ElementsAre(HasSubstr("/boot/initrd.img-6.1 of partition 2")));
  SeededRandom random(3);
  EXPECT_EQ(replace_ids(blocks, facts_, fresh_ids(facts_, random)).error().code, Code::cannot_customise);
}

TEST_F(IdMentions, BuiltInConfigurationKeepsThem) {
  put(tree_ / "boot/grub/i386-pc/load.cfg", fmt::format("search.fs_uuid {} root\n", kRoot));
  put(esp_ / "EFI/BOOT/BOOTX64.EFI", std::string("MZ\0\0", 4) + kRoot);
  image();
  EXPECT_THAT(facts_.fixed_ids.value(), testing::UnorderedElementsAre(HasSubstr("BOOTX64.EFI"), HasSubstr("load.cfg")));
}

TEST_F(IdMentions, LargeTextKeepsThem) {
  put(tree_ / "etc/large", std::string(5U << 20, '\n') + kRoot);
  MemoryBlocks blocks = image();
  EXPECT_THAT(facts_.fixed_ids.value(), ElementsAre(HasSubstr("/etc/large of partition 2")));
}

TEST_F(IdMentions, WriteErrorsAreTold) {
  const MemoryBlocks good = image();
  SeededRandom random(3);
  const NewIds ids = fresh_ids(facts_, random);
  MemoryBlocks counted = good;
  ASSERT_TRUE(replace_ids(counted, facts_, ids));
  for (std::size_t n = 1; n <= counted.writes; ++n) {
    MemoryBlocks blocks = good;
    blocks.fail_at = n;
    EXPECT_FALSE(replace_ids(blocks, facts_, ids)) << n;
  }
}

TEST(Swap, RefusesWhatIsNone) {
  MemoryBlocks blocks{Bytes(1U << 20)};
  EXPECT_EQ(set_swap_uuid(blocks, {4096}, kNew).error().code, Code::cannot_customise);
  EXPECT_EQ(set_swap_uuid(blocks, {(1U << 20) - 100}, kNew).error().code, Code::cannot_customise);
  EXPECT_EQ(set_swap_uuid(blocks, {5U << 20}, kNew).error().code, Code::cannot_customise);
  EXPECT_EQ(blocks.writes, 0U);
}

}  // namespace
}  // namespace stampede::volume

#include "src/volume/inspect.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "src/base/seams.h"
#include "src/volume/cloud_init.h"
#include "src/volume/text.h"
#include "tests/volume/images.h"

namespace stampede::volume {
namespace {

constexpr const char* kRootX86 = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709";

class Inspect : public testing::Test {
 protected:
  void SetUp() override {
    if (!have("mke2fs") || !have("sgdisk") || !have("sfdisk")) GTEST_SKIP() << "needs e2fsprogs, sgdisk and sfdisk";
    make_root_tree(scratch_ / "tree");
    put_kernels(scratch_ / "tree");
  }
  static void put_kernels(const std::filesystem::path& tree) {
    for (const char* kernel : {"6.1.0-9-amd64", "6.1.0-18-amd64"}) {
      put(tree / "boot" / (std::string("vmlinuz-") + kernel), "kernel\n");
      std::filesystem::create_directories(tree / "usr/lib/modules" / kernel);
    }
    std::filesystem::create_directories(tree / "usr/lib/modules/6.0.0-removed");
    std::filesystem::create_symlink("usr/lib", tree / "lib");
  }
  // A file system made on its own and put where a partition is.
  void put_filesystem(std::uint64_t offset, std::uint64_t size, const std::string& options, bool tree = true) {
    const auto part = scratch_ / "part";
    make_disk(part, size);
    const Ran made = run(fmt::format("mke2fs -q -F {} {} {}", options,
                                     tree ? "-d " + (scratch_ / "tree").string() : std::string(), part.string()));
    ASSERT_EQ(made.code, 0) << made.output;
    const Ran copied =
        run(fmt::format("dd if={} of={} bs=4096 seek={} conv=notrunc", part.string(), disk_.string(), offset / 4096));
    ASSERT_EQ(copied.code, 0) << copied.output;
  }
  void sh(const std::string& command) {
    const Ran ran = run(command);
    ASSERT_EQ(ran.code, 0) << command << "\n" << ran.output;
  }
  // Made once: sgdisk takes a second each time.
  void make_gpt_disk() {
    static Scratch made;
    if (std::filesystem::exists(made / "gpt")) {
      std::filesystem::copy_file(made / "gpt", disk_);
      return;
    }
    make_disk(disk_, 32U << 20);
    sh(fmt::format(
        "sgdisk -U 11111111-2222-3333-4444-555555555555 -n 1:2048:4095 -t 1:ef02 -n 2:4096:12287 -t 2:ef00 -c 2:EFI "
        "-n 3:16384:49151 -t 3:{} -c 3:'root disk' {}",
        kRootX86, disk_.string()));
    put_filesystem(16384 * 512, 16U << 20, "-t ext4 -b 4096 -L cloudimg-rootfs -U aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee");
    std::filesystem::copy_file(disk_, made / "gpt");
  }
  ImageFacts facts() {
    auto out = inspect(disk_);
    EXPECT_TRUE(out) << out.error().message;
    return out.value_or(ImageFacts{});
  }
  Content content() {
    const File disk = std::move(File::open(disk_, O_RDWR).value());
    auto out = probe_content(disk.fd(), disk.size().value());
    EXPECT_TRUE(out) << out.error().message;
    return out.value_or(Content{});
  }

  Scratch scratch_;
  std::filesystem::path disk_ = scratch_ / "disk";
};

TEST_F(Inspect, Gpt512) {
  make_gpt_disk();
  const ImageFacts got = facts();
  EXPECT_EQ(got.table, "gpt");
  EXPECT_EQ(got.disk_guid, "11111111-2222-3333-4444-555555555555");
  EXPECT_EQ(got.sector_size, 512U);
  ASSERT_EQ(got.partitions.size(), 3U);
  EXPECT_EQ(got.partitions[1].type, "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
  EXPECT_EQ(got.partitions[1].name, "EFI");
  EXPECT_EQ(got.partitions[2].number, 3U);
  EXPECT_EQ(got.partitions[2].offset.bytes, 16384U * 512);
  EXPECT_EQ(got.partitions[2].length.bytes, 16U << 20);
  EXPECT_EQ(got.partitions[2].name, "root disk");
  EXPECT_EQ(got.partitions[2].guid.size(), 36U);
  EXPECT_EQ(got.partitions[2].filesystem, "ext4");
  ASSERT_TRUE(got.root);
  EXPECT_EQ(got.root->partition, 3U);
  EXPECT_EQ(got.root->offset.bytes, 16384U * 512);
  EXPECT_EQ(got.root->filesystem, "ext4");
  EXPECT_EQ(got.root->label, "cloudimg-rootfs");
  EXPECT_EQ(got.root->uuid, "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee");
  EXPECT_TRUE(got.root->clean);
  EXPECT_EQ(got.architecture, "x86_64");
  EXPECT_EQ(got.firmware, (std::vector<std::string>{"bios", "uefi"}));
  EXPECT_EQ(got.cloud_init, true);
  EXPECT_EQ(got.os_release.at("ID"), "debian");
  EXPECT_EQ(got.os_release.at("NAME"), "Debian GNU/Linux");
  EXPECT_EQ(got.kernels, (std::vector<std::string>{"6.1.0-18-amd64", "6.1.0-9-amd64"}));

  const Content seen = content();
  EXPECT_FALSE(seen.blank);
  EXPECT_EQ(seen.description, "gpt partition table, 3 partitions: ext4 'cloudimg-rootfs'");
  EXPECT_EQ(seen.disk_guid, "11111111-2222-3333-4444-555555555555");
}

TEST_F(Inspect, UncleanRootIsToldAndStillLookedInto) {
  make_gpt_disk();
  sh(fmt::format("debugfs -w -R 'feature needs_recovery' '{}?offset={}'", disk_.string(), 16384 * 512));
  const ImageFacts got = facts();
  ASSERT_TRUE(got.root);
  EXPECT_FALSE(got.root->clean);
  EXPECT_EQ(got.os_release.at("ID"), "debian");
}

TEST_F(Inspect, RootThatCannotBeEditedIsNotClean) {
  make_gpt_disk();
  sh(fmt::format("debugfs -w -R 'feature quota' '{}?offset={}'", disk_.string(), 16384 * 512));
  EXPECT_FALSE(facts().root->clean);
  std::filesystem::remove(disk_);
  make_gpt_disk();
  sh(fmt::format("debugfs -w -R 'symlink /var/lib/cloud /nowhere' '{}?offset={}'", disk_.string(), 16384 * 512));
  EXPECT_FALSE(facts().root->clean);
}

TEST(CloudInit, KnowsWhatKeepsItFromASeed) {
  EXPECT_FALSE(names_nocloud("users: []\n# datasource_list: [NoCloud]\n"));
  EXPECT_EQ(names_nocloud("datasource_list: [ NoCloud, None ]\n"), true);
  EXPECT_EQ(names_nocloud("datasource_list: [ Ec2 ]\n# NoCloud\nx: NoCloud\n"), false);
  EXPECT_EQ(names_nocloud("datasource_list:\n- Ec2\n- NoCloud\nx: y\n"), true);
  EXPECT_FALSE(mounts_over_seed("# /dev/sda2 /var ext4\nUUID=1 / ext4 defaults 0 1\n/dev/sda3 /var/log ext4\n"));
  EXPECT_TRUE(mounts_over_seed("UUID=1 / ext4 defaults 0 1\n\tLABEL=var\t/var/ ext4\n"));
}

TEST_F(Inspect, Gpt4096) {
  make_disk(disk_, 64U << 20);
  if (!have("fdisk")) GTEST_SKIP() << "needs fdisk, which alone makes tables for 4096 bytes a sector";
  sh(fmt::format(
      "printf 'g\\nn\\n1\\n512\\n1535\\nt\\nC12A7328-F81F-11D2-BA4B-00A0C93EC93B\\nn\\n2\\n2048\\n6143\\nt\\n2\\n"
      "B921B045-1DF0-41C3-AF44-4C6F280D3FAE\\nx\\ni\\n99999999-2222-3333-4444-555555555555\\nr\\nw\\n' | "
      "fdisk --sector-size 4096 {}",
      disk_.string()));
  put_filesystem(2048 * 4096, 16U << 20, "-t ext4 -b 4096");
  const ImageFacts got = facts();
  EXPECT_EQ(got.table, "gpt");
  EXPECT_EQ(got.sector_size, 4096U);
  EXPECT_EQ(got.disk_guid, "99999999-2222-3333-4444-555555555555");
  ASSERT_EQ(got.partitions.size(), 2U);
  EXPECT_EQ(got.partitions[1].offset.bytes, 2048U * 4096);
  EXPECT_EQ(got.partitions[1].length.bytes, 4096U * 4096);
  ASSERT_TRUE(got.root);
  EXPECT_EQ(got.root->partition, 2U);
  EXPECT_EQ(got.architecture, "aarch64");
  EXPECT_EQ(got.firmware, (std::vector<std::string>{"uefi"}));
  EXPECT_EQ(content().description, "gpt partition table, 2 partitions: ext4");
}

TEST_F(Inspect, MbrWithLogicalPartitions) {
  make_disk(disk_, 64U << 20);
  sh(
      fmt::format("printf 'label: dos\\nlabel-id: 0xdeadbeef\\nstart=2048, size=8192, type=82\\nstart=16384, type=5\\n"
                  "start=18432, size=32768, type=83, bootable\\n' | sfdisk {}",
                  disk_.string()));
  put_filesystem(18432 * 512, 16U << 20, "-t ext4 -b 4096");
  sh(fmt::format("printf 'boot code' | dd of={} conv=notrunc", disk_.string()));
  const ImageFacts got = facts();
  EXPECT_EQ(got.table, "dos");
  EXPECT_EQ(got.disk_guid, "deadbeef");
  ASSERT_EQ(got.partitions.size(), 3U);
  EXPECT_EQ(got.partitions[0].type, "0x82");
  EXPECT_EQ(got.partitions[2].type, "0x83");
  EXPECT_EQ(got.partitions[2].number, 5U);
  EXPECT_EQ(got.partitions[2].guid, "");
  ASSERT_TRUE(got.root);  // by what it holds
  EXPECT_EQ(got.root->partition, 5U);
  EXPECT_TRUE(got.architecture);  // by /bin/sh, which is this machine's
  EXPECT_EQ(got.firmware, (std::vector<std::string>{"bios"}));
  EXPECT_EQ(content().description, "dos partition table, 3 partitions: ext4");
  EXPECT_EQ(content().disk_guid, "deadbeef");
}

TEST_F(Inspect, NoTableAndNoCloudInit) {
  std::filesystem::remove(scratch_ / "tree/usr/bin/cloud-init");
  make_disk(disk_, 16U << 20);
  put_filesystem(0, 16U << 20, "-t ext3 -U aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee -L data");
  const ImageFacts got = facts();
  EXPECT_EQ(got.table, "");
  EXPECT_TRUE(got.partitions.empty());
  EXPECT_EQ(got.sector_size, 512U);
  ASSERT_TRUE(got.root);
  EXPECT_EQ(got.root->partition, 0U);
  EXPECT_EQ(got.root->length.bytes, 16U << 20);
  EXPECT_EQ(got.root->filesystem, "ext3");
  EXPECT_EQ(got.cloud_init, false);
  EXPECT_TRUE(got.firmware.empty());
  EXPECT_EQ(content().description, "ext3 file system 'data'");
  EXPECT_EQ(content().disk_guid, "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee");
}

TEST_F(Inspect, TwoCandidatesAreNoRoot) {
  make_disk(disk_, 64U << 20);
  sh(fmt::format("printf 'label: gpt\\nstart=2048, size=32768\\nstart=36864, size=32768\\n' | sfdisk {}", disk_.string()));
  put_filesystem(2048 * 512, 16U << 20, "-t ext4");
  put_filesystem(36864 * 512, 16U << 20, "-t ext4");
  EXPECT_FALSE(facts().root);
  put_filesystem(36864 * 512, 16U << 20, "-t ext4 -L root");
  ASSERT_TRUE(facts().root);
  EXPECT_EQ(facts().root->partition, 2U);
  put_filesystem(2048 * 512, 16U << 20, "-t ext4 -L rootfs");
  EXPECT_FALSE(facts().root);
  sh(fmt::format("sfdisk --part-type {} 1 {}", disk_.string(), kRootX86));
  EXPECT_EQ(facts().root->partition, 1U);
}

TEST_F(Inspect, BlankAndUnknown) {
  make_disk(disk_, 8U << 20);
  EXPECT_TRUE(content().blank);
  EXPECT_EQ(content().description, "");
  const ImageFacts got = facts();
  EXPECT_TRUE(got.table.empty() && got.partitions.empty() && !got.root && !got.architecture && !got.cloud_init);
  sh(fmt::format("printf x | dd of={} bs=1 seek=700000 conv=notrunc", disk_.string()));
  EXPECT_FALSE(content().blank);
  EXPECT_EQ(content().description, "unknown data");
  make_disk(disk_, 8U << 20);
  sh(fmt::format("printf x | dd of={} bs=1 seek={} conv=notrunc", disk_.string(), (8U << 20) - 1));
  EXPECT_FALSE(content().blank);
  make_disk(disk_, 0);
  EXPECT_TRUE(content().blank);
  EXPECT_FALSE(facts().root);
}

TEST_F(Inspect, ContentOfEveryKind) {
  const auto expect = [&](const std::string& command, const std::string& description) {
    make_disk(disk_, 64U << 20);
    sh(fmt::format("cd {} && {}", scratch_.path().string(), command));
    EXPECT_FALSE(content().blank) << command;
    EXPECT_EQ(content().description, description);
  };
  expect("mkswap -L s disk", "swap space 's'");
  expect("printf 'label: gpt\\n' | sfdisk disk", "gpt partition table, 0 partitions");
  expect("printf 'label: gpt\\n' | sfdisk disk && dd if=/dev/zero of=disk bs=512 count=34 conv=notrunc",
         "gpt partition table, 0 partitions");
  expect("printf 'label: dos\\n' | sfdisk disk", "dos partition table");
  expect("mke2fs -q -F -t ext4 -O metadata_csum disk && printf x | dd of=disk bs=1 seek=1200 conv=notrunc",
         "ext4 file system");
  expect("printf 'LUKS\\272\\276\\0\\1' | dd of=disk conv=notrunc", "crypto_LUKS encrypted volume");
  expect("printf 'hsqs' | dd of=disk conv=notrunc", "squashfs3 file system");
}

TEST_F(Inspect, ThroughADirectDescriptor) {
  make_gpt_disk();
  auto disk = File::open(disk_, O_RDWR | O_DIRECT);
  if (!disk) GTEST_SKIP() << "no O_DIRECT here: " << disk.error().message;
  EXPECT_EQ(probe_content(disk->fd(), {32U << 20})->description,
            "gpt partition table, 3 partitions: ext4 'cloudimg-rootfs'");
}

TEST_F(Inspect, NothingFailsOnGarbage) {
  make_gpt_disk();
  const Bytes sound = read_file(disk_, 64_MiB).value();
  SeededRandom random(7);
  const auto look = [&](const Bytes& bytes) {
    put(disk_, as_text(bytes));
    EXPECT_TRUE(inspect(disk_));
    EXPECT_FALSE(content().blank);
  };
  Bytes noise(3U << 20);
  random.fill(noise);
  look(noise);
  for (const std::size_t cut : {513UL, 1024UL, 4096UL, 20000UL, 8UL << 20, (8UL << 20) + 1500, (9UL << 20) + 77})
    look(Bytes(sound.begin(), sound.begin() + static_cast<std::ptrdiff_t>(cut)));
  for (int round = 0; round < 60; ++round) {
    Bytes bytes(sound.begin(), sound.begin() + (12 << 20));
    for (int i = 0; i < 40; ++i) {
      // In the table, or in the file system's superblock, descriptors and first inodes.
      const std::size_t at = i % 2 == 0 ? random.below(34 * 512) : (8U << 20) + random.below(300'000);
      bytes[at] = static_cast<std::byte>(random.below(256));
    }
    look(bytes);
  }
}

TEST_F(Inspect, AbsurdGpt) {
  make_gpt_disk();
  for (const std::size_t at : {80UL, 84UL}) {  // number and size of the entries
    const File disk = std::move(File::open(disk_, O_RDWR).value());
    ASSERT_TRUE(disk.write_at({512 + at}, Bytes(4, std::byte{0xff})));
    EXPECT_TRUE(inspect(disk_));
    EXPECT_FALSE(content().blank);
  }
}

TEST(InspectPaths, MissingFileIsUsage) {
  EXPECT_EQ(inspect("/nonexistent/disk").error().code, Code::usage);
  EXPECT_EQ(inspect("/").error().code, Code::usage);
  EXPECT_EQ(inspect("/dev/null").error().code, Code::usage);
}

TEST(Text, OsRelease) {
  const auto got = parse_os_release(
      "# comment\nNAME=\"A \\\"b\\\" \\$c\"\nID=plain\nSINGLE='it is'\nEMPTY=\nbad key=1\nOPEN=\"x\nlower=1\n"
      "MIXED=a'b c'\"d\" rest\nCR=x\r\nLAST=1");
  const std::map<std::string, std::string> want{{"NAME", "A \"b\" $c"}, {"ID", "plain"}, {"SINGLE", "it is"}, {"EMPTY", ""},
                                                {"MIXED", "ab cd"},     {"CR", "x"},     {"LAST", "1"}};
  EXPECT_EQ(got, want);
}

TEST(Text, Printable) {
  EXPECT_EQ(printable("grün €𝄞"), "grün €𝄞");
  EXPECT_EQ(printable(std::string_view("a\x1b[2J\0\x7f\xff\xc0\x80\xed\xa0\x80\xc3", 14)), "a?[2J?????????");
  EXPECT_EQ(printable("\xc2\x85"), "??");
}

}  // namespace
}  // namespace stampede::volume

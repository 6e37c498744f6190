#include "src/volume/generalise.h"

#include <gtest/gtest.h>

#include "src/volume/ext4.h"
#include "src/volume/lint.h"
#include "tests/volume/images.h"

namespace stampede::volume {
namespace {

constexpr std::string_view kSecret = "a secret that must not stay anywhere";

class GeneraliseTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!have("mke2fs") || !have("e2fsck")) GTEST_SKIP() << "needs e2fsprogs";
    make_root_tree(tree_, false);
    for (const char* path : {"etc/machine-id", "etc/ssh/ssh_host_rsa_key", "var/lib/dhcp/dhclient.leases"})
      put(tree_ / path, text());
    put(tree_ / "var/lib/cloud/instances/i-1/scripts/deep/user-data.txt", text());
    put(tree_ / "var/lib/cloud/instances/i-1/large", large());
    put(tree_ / "var/lib/cloud/seed/nocloud/meta-data", text());
    std::filesystem::create_symlink("instances/i-1", tree_ / "var/lib/cloud/instance");
    put(tree_ / "etc/network/interfaces", "iface eth0 inet dhcp\n  hwaddress ether 52:54:00:12:34:56\n");
    put(tree_ / "etc/netplan/a.yaml", "macaddress: 52:54:00:12:34:56\n");
    put(tree_ / "usr/bin/ssh-keygen", "x");
    put(tree_ / "usr/lib/systemd/systemd", "x");
    put(tree_ / "usr/lib/systemd/system/ssh.service", "[Service]\n");
    put(tree_ / "kept", std::string(kKept));
  }
  static std::string text() { return std::string(kSecret) + "\n"; }
  static std::string large() {
    std::string out;
    while (out.size() < 300'000) out += text();
    return out;
  }
  MemoryBlocks make() {
    make_disk(image_, 24U << 20);
    const Ran made = run(fmt::format("mke2fs -q -F -t ext4 {} -d {} {}", GetParam(), tree_.string(), image_.string()));
    EXPECT_EQ(made.code, 0) << made.output;
    return MemoryBlocks::load(image_);
  }
  ImageFacts facts() const {
    ImageFacts out;
    out.root = RootFacts{
        .partition = 0, .offset = {}, .length = {24U << 20}, .filesystem = "ext4", .label = {}, .uuid = {}, .clean = true};
    out.cloud_init = false;
    return out;
  }
  void expect_clean(const MemoryBlocks& blocks) {
    blocks.save(image_);
    const Ran check = run("e2fsck -fn " + image_.string());
    EXPECT_EQ(check.code, 0) << check.output;
  }

  static constexpr std::string_view kKept = "what is no identity stays";
  Scratch scratch_;
  std::filesystem::path tree_ = scratch_ / "tree", image_ = scratch_ / "image";
};

TEST_P(GeneraliseTest, NothingIsFoundAfterwardsNorAnywhereOnTheDisk) {
  MemoryBlocks blocks = make();
  MemoryBlocks other = blocks;
  ASSERT_NE(as_text(blocks.bytes()).find(kSecret), std::string_view::npos);
  const auto done = generalise(blocks, facts());
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->removed.size(), 9U);
  EXPECT_EQ(done->written, (std::vector<std::string>{"/etc/systemd/system/stampede-host-keys.service",
                                                     "/etc/systemd/system/ssh.service.d/stampede-host-keys.conf"}));
  expect_clean(blocks);
  EXPECT_EQ(as_text(blocks.bytes()).find(kSecret), std::string_view::npos);
  EXPECT_TRUE(lint(blocks, facts())->findings.empty());

  const auto files = Ext4::open(blocks, {}, false).value();
  EXPECT_EQ(files.size("/etc/machine-id").value(), Size{});
  EXPECT_EQ(files.kind("/etc/ssh/ssh_host_rsa_key.pub").value(), Ext4::Kind::none);
  EXPECT_EQ(files.kind("/etc/ssh/sshd_config").value(), Ext4::Kind::file);
  EXPECT_EQ(files.kind("/etc/netplan/a.yaml").value(), Ext4::Kind::none);
  EXPECT_EQ(as_text(files.read("/etc/network/interfaces", 1_KiB).value()), "iface eth0 inet dhcp\n");
  EXPECT_TRUE(files.list("/var/lib/cloud/instances").value().empty());
  EXPECT_EQ(files.kind("/var/lib/cloud/instance").value(), Ext4::Kind::none);
  EXPECT_EQ(as_text(files.read("/kept", 1_KiB).value()), kKept);

  run("sleep 1.1");  // the clock's second is not in it
  ASSERT_TRUE(generalise(other, facts()));
  EXPECT_TRUE(other.bytes() == blocks.bytes());
  const auto again = generalise(blocks, facts());
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->removed.empty());
  EXPECT_TRUE(again->written.empty());
}

INSTANTIATE_TEST_SUITE_P(Kinds, GeneraliseTest,
                         testing::Values("-b 4096", "-b 1024 -O ^metadata_csum", "-O inline_data -I 512",
                                         "-O ^extent,^64bit", "-O bigalloc -C 16384"));

using OneKind = GeneraliseTest;

TEST_P(OneKind, WhatHasAnotherNameKeepsItsContent) {
  std::filesystem::create_hard_link(tree_ / "kept", tree_ / "var/lib/dhcp/linked.leases");
  MemoryBlocks blocks = make();
  ASSERT_TRUE(generalise(blocks, facts()));
  expect_clean(blocks);
  EXPECT_EQ(as_text(Ext4::open(blocks, {}, false)->read("/kept", 1_KiB).value()), kKept);
}

TEST_P(OneKind, RefusesWhereNothingWouldMakeHostKeys) {
  std::filesystem::remove(tree_ / "usr/lib/systemd/system/ssh.service");
  MemoryBlocks blocks = make();
  const auto refused = generalise(blocks, facts());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::cannot_customise);
  ImageFacts with = facts();
  with.cloud_init = true;
  blocks = make();
  const auto done = generalise(blocks, with);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_TRUE(done->written.empty());
}

TEST_P(OneKind, RefusesWhatIsNotCleanAndFailsWithTheDisk) {
  MemoryBlocks blocks = make();
  ImageFacts unclean = facts();
  unclean.root->clean = false;
  EXPECT_EQ(generalise(blocks, unclean).error().code, Code::cannot_customise);
  EXPECT_EQ(blocks.writes, 0U);
  MemoryBlocks counting = blocks;
  ASSERT_TRUE(generalise(counting, facts()));
  for (std::size_t n = 1; n <= counting.writes; n += 7) {
    MemoryBlocks failing = blocks;
    failing.fail_at = n;
    EXPECT_FALSE(generalise(failing, facts())) << "write " << n << " of " << counting.writes;
  }
}

INSTANTIATE_TEST_SUITE_P(Default, OneKind, testing::Values("-b 4096"));

}  // namespace
}  // namespace stampede::volume

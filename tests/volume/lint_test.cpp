#include "src/volume/lint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "src/base/seams.h"
#include "src/volume/lint_rules.h"
#include "tests/volume/images.h"

namespace stampede::volume {
namespace {

std::vector<std::string> texts(const std::vector<Finding>& findings) {
  std::vector<std::string> out;
  for (const Finding& one : findings) out.push_back(one.code + " " + one.path);
  return out;
}

// A disk that is one ext4 file system with the tree in it.
class LintTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!have("mke2fs")) GTEST_SKIP() << "needs e2fsprogs";
    make_root_tree(tree_);
  }
  void put_in(const std::string& path, std::string_view content) { put(tree_ / path, content); }
  MemoryBlocks make() {
    make_disk(scratch_ / "image", 8U << 20);
    const Ran made =
        run(fmt::format("mke2fs -q -F -t ext4 -b 4096 -d {} {}", tree_.string(), (scratch_ / "image").string()));
    EXPECT_EQ(made.code, 0) << made.output;
    return MemoryBlocks::load(scratch_ / "image");
  }
  static ImageFacts facts(bool cloud_init = true) {
    ImageFacts out;
    out.root = RootFacts{
        .partition = 0, .offset = {}, .length = {8U << 20}, .filesystem = "ext4", .label = {}, .uuid = {}, .clean = true};
    out.cloud_init = cloud_init;
    return out;
  }
  Lint look() {
    MemoryBlocks blocks = make();
    auto out = lint(blocks, facts());
    EXPECT_TRUE(out) << out.error().message;
    return out.value_or(Lint{});
  }

  Scratch scratch_;
  std::filesystem::path tree_ = scratch_ / "tree";
};

TEST_F(LintTest, FindsWhatTheSmallestRootHolds) {
  const Lint found = look();
  EXPECT_EQ(texts(found.findings),
            (std::vector<std::string>{"machine-id /etc/machine-id", "ssh-host-key /etc/ssh/ssh_host_ed25519_key",
                                      "ssh-host-key /etc/ssh/ssh_host_rsa_key"}));
  EXPECT_TRUE(found.notes.empty()) << texts(found.notes).front();
}

TEST_F(LintTest, ACleanTemplateHasNone) {
  std::filesystem::remove_all(tree_ / "etc/ssh");
  for (const std::string_view id : {"", "\n", "uninitialized\n"}) {
    put_in("etc/machine-id", id);
    EXPECT_TRUE(look().findings.empty()) << id;
  }
  std::filesystem::remove(tree_ / "etc/machine-id");
  // Folders and empty files are no identity; neither is the link that Debian's dbus has.
  for (const char* folder : {"var/lib/cloud/instances", "var/lib/cloud/data", "var/lib/cloud/seed/nocloud", "var/lib/dhcp"})
    std::filesystem::create_directories(tree_ / folder);
  put_in("var/lib/dhcp/dhclient.leases", "");
  std::filesystem::create_directories(tree_ / "var/lib/dbus");
  std::filesystem::create_symlink("/etc/machine-id", tree_ / "var/lib/dbus/machine-id");
  put_in("etc/netplan/a.yaml",
         "network: {version: 2, ethernets: {e: {match: {driver: virtio}}}}\n# macaddress: 52:54:00:12:34:56\n");
  put_in("etc/network/interfaces", "iface eth0 inet dhcp\n");
  EXPECT_TRUE(look().findings.empty());
}

TEST_F(LintTest, EveryRuleFindsItsOwn) {
  std::filesystem::remove_all(tree_ / "etc/ssh");
  std::filesystem::remove(tree_ / "etc/machine-id");
  const std::vector<std::pair<std::string, std::string>> planted{
      {"machine-id", "var/lib/dbus/machine-id"},
      {"ssh-host-key", "etc/ssh/ssh_host_ecdsa_key"},
      {"dhcp-lease", "var/lib/dhcp/dhclient.eth0.leases"},
      {"dhcp-lease", "var/lib/dhcp3/dhclient.leases"},
      {"dhcp-lease", "var/lib/dhclient/dhclient.leases"},
      {"dhcp-lease", "var/lib/dhcpcd/eth0.lease"},
      {"dhcp-lease", "var/lib/dhcpcd5/eth0.lease"},
      {"dhcp-lease", "var/lib/NetworkManager/internal-x-eth0.lease"},
      {"dhcp-lease", "run/systemd/netif/leases/2"},
      {"dhcp-id", "var/lib/dhcpcd/duid"},
      {"dhcp-id", "var/lib/dhcpcd/secret"},
      {"dhcp-id", "etc/dhcpcd.duid"},
      {"dhcp-id", "var/lib/NetworkManager/secret_key"},
      {"net-rule", "etc/udev/rules.d/70-persistent-net.rules"},
      {"net-hardware", "etc/NetworkManager/system-connections/a.nmconnection"},
      {"net-hardware", "etc/systemd/network/10-a.link"},
      {"net-hardware", "etc/systemd/network/10-a.network"},
      {"net-hardware", "etc/netplan/50-cloud-init.yaml"},
      {"net-hardware", "etc/sysconfig/network-scripts/ifcfg-eth0"},
      {"net-hardware", "etc/network/interfaces"},
      {"net-hardware", "etc/network/interfaces.d/a"},
      {"cloud-instance", "var/lib/cloud/instances/i-1/user-data.txt"},
      {"cloud-instance", "var/lib/cloud/data/instance-id"},
      {"cloud-instance", "var/lib/cloud/sem/config_x.once"},
      {"cloud-seed", "var/lib/cloud/seed/nocloud/meta-data"},
      {"random-seed", "var/lib/systemd/random-seed"},
      {"random-seed", "var/lib/urandom/random-seed"},
      {"random-seed", "var/lib/random-seed"},
      {"random-seed", "var/lib/seedrng/seed.credit"},
      {"credential-secret", "var/lib/systemd/credential.secret"},
      {"agent-id", "etc/salt/minion_id"},
      {"agent-id", "etc/salt/pki/minion/minion.pem"},
      {"agent-id", "etc/puppetlabs/puppet/ssl/private_keys/a.pem"},
      {"agent-id", "etc/puppet/ssl/private_keys/a.pem"},
      {"agent-id", "var/lib/puppet/ssl/private_keys/a.pem"},
      {"agent-id", "var/lib/zerotier-one/identity.secret"},
      {"agent-id", "etc/pki/consumer/key.pem"},
      {"agent-id", "var/lib/stampede-node/node.key"},
      {"private-key", "root/.ssh/id_ed25519"},
      {"storage-id", "etc/iscsi/initiatorname.iscsi"},
      {"storage-id", "etc/nvme/hostnqn"},
  };
  std::multiset<std::string> expected{"cloud-instance"};  // and the link
  for (const auto& [code, path] : planted) {
    put_in(path, "[Match]\nMACAddress=\"52:54:00:AB:cd:ef\"\n");
    expected.insert(code);
  }
  std::filesystem::create_symlink("instances/i-1", tree_ / "var/lib/cloud/instance");
  put_in("etc/hostname", "web-1\n");
  put_in("etc/fstab", "UUID=x / ext4 defaults 0 1\nUUID=y /var/ ext4 defaults 0 1\n# UUID=z /etc ext4\n");
  expected.insert({"hostname", "not-seen"});

  const Lint found = look();
  std::multiset<std::string> got;
  for (const Finding& one : found.findings) {
    EXPECT_FALSE(lint_code(one.code).note);
    got.insert(one.code);
  }
  for (const Finding& one : found.notes) {
    EXPECT_TRUE(lint_code(one.code).note);
    got.insert(one.code);
  }
  EXPECT_EQ(got, expected);
  // One rule has two of them; the link's has none.
  EXPECT_EQ(planted.size(), lint_rules().size()) << "a rule has no case here";
  const auto paths = texts(found.findings);
  for (const char* one :
       {"cloud-instance /var/lib/cloud/instances/", "agent-id /etc/puppet/ssl/", "dhcp-id /etc/dhcpcd.duid"})
    EXPECT_TRUE(std::ranges::find(paths, one) != paths.end()) << one;
  EXPECT_EQ(texts(found.notes), (std::vector<std::string>{"hostname /etc/hostname", "private-key /root/.ssh/id_ed25519",
                                                          "storage-id /etc/iscsi/initiatorname.iscsi",
                                                          "storage-id /etc/nvme/hostnqn", "not-seen /var"}));
}

TEST_F(LintTest, SaysWhatItCannotSee) {
  MemoryBlocks blocks = make();
  ImageFacts none;
  EXPECT_EQ(lint(blocks, none).error().code, Code::cannot_customise);
  ImageFacts other = facts();
  other.root->filesystem = "xfs";
  EXPECT_EQ(lint(blocks, other).error().code, Code::cannot_customise);
  const auto bare = lint(blocks, facts(false));
  ASSERT_TRUE(bare);
  EXPECT_EQ(texts(bare->notes), (std::vector<std::string>{"no-cloud-init "}));

  const std::string image = (scratch_ / "image").string();
  ASSERT_EQ(run(fmt::format("debugfs -w -R 'feature needs_recovery' {}", image)).code, 0);
  MemoryBlocks unclean = MemoryBlocks::load(image);
  const auto told = lint(unclean, facts());
  ASSERT_TRUE(told) << told.error().message;
  EXPECT_EQ(texts(told->notes), (std::vector<std::string>{"unclean "}));
  EXPECT_EQ(told->findings.size(), 3U);
}

TEST_F(LintTest, TheBootLoadersSeed) {
  if (!have("mkfs.vfat") || !have("mcopy")) GTEST_SKIP() << "needs dosfstools and mtools";
  put_in("esp/loader/random-seed", "seed");
  const Ran made =
      run(fmt::format("cd {} && mkfs.vfat -C esp 2048 && mcopy -s -i esp tree/esp/* :: ", scratch_.path().string()));
  ASSERT_EQ(made.code, 0) << made.output;
  MemoryBlocks root = make();
  const std::size_t at = root.bytes().size();
  const Bytes esp = MemoryBlocks::load(scratch_ / "esp").bytes();
  root.bytes().insert(root.bytes().end(), esp.begin(), esp.end());
  ImageFacts both = facts();
  PartitionFacts partition;
  partition.number = 1;
  partition.offset = {at};
  partition.length = {esp.size()};
  partition.filesystem = "vfat";
  both.partitions.push_back(partition);
  const auto found = lint(root, both);
  ASSERT_TRUE(found);
  EXPECT_EQ(texts(found->findings).back(), "random-seed partition 1: /LOADER/RANDOM~1");
}

// Whatever is altered, it ends, with findings or an error.
TEST_F(LintTest, DamageIsSurvived) {
  for (int i = 0; i < 20; ++i) put_in(fmt::format("var/lib/dhcp/{}.leases", i), "lease");
  const MemoryBlocks sound = make();
  SeededRandom random(1);
  for (int round = 0; round < 200; ++round) {
    MemoryBlocks blocks = sound;
    // Mostly the superblock, descriptors, bitmaps and inodes, which come first.
    const std::size_t range = round % 3 == 0 ? blocks.bytes().size() : 400'000;
    for (std::uint64_t flips = 1 + random.below(40); flips > 0; --flips)
      blocks.bytes()[random.below(range)] ^= static_cast<std::byte>(1U << random.below(8));
    const auto out = lint(blocks, facts());
    if (!out) EXPECT_FALSE(out.error().message.empty());
  }
}

TEST(LintWords, EveryCodeIsExplained) {
  std::set<std::string_view> codes;
  for (const LintCode& code : lint_codes()) {
    EXPECT_TRUE(codes.insert(code.code).second) << code.code << " is there twice";
    EXPECT_FALSE(code.what.empty() || code.why.empty() || code.cure.empty()) << code.code;
  }
  for (const LintRule& rule : lint_rules()) EXPECT_TRUE(codes.contains(rule.code)) << rule.code;
  EXPECT_TRUE(lint_code("nonsense").code.empty());
}

TEST(LintWords, HardwareAddresses) {
  for (const char* text :
       {"HWADDR=52:54:00:12:34:56", "  macaddress: '52:54:00:12:34:56'\n", "x\nmac-address=52-54-00-12-34-5F",
        "hwaddress ether 52:54:00:12:34:56", "PermanentMACAddress=52:54:00:12:34:56"})
    EXPECT_TRUE(names_hardware(text)) << text;
  for (const char* text : {"", "#HWADDR=52:54:00:12:34:56", "; mac 52:54:00:12:34:56", "mac-address=\n",
                           "MACAddress=52:54:00", "addresses: [fd00:52:54:00:12:34:56::1]", "MACAddressPolicy=persistent"})
    EXPECT_FALSE(names_hardware(text)) << text;
  EXPECT_EQ(without_hardware("DEVICE=eth0\nHWADDR=52:54:00:12:34:56\n\nONBOOT=yes"), "DEVICE=eth0\n\nONBOOT=yes");
  EXPECT_EQ(without_hardware("HWADDR=52:54:00:12:34:56"), "");
  EXPECT_EQ(without_hardware(""), "");
}

}  // namespace
}  // namespace stampede::volume

#include "src/firstboot/apply.h"

#include <gtest/gtest.h>

#include "src/volume/ext4.h"
#include "tests/volume/images.h"

namespace stampede::firstboot {
namespace {

using volume::Ext4;
using volume::MemoryBlocks;
using volume::run;

Instance web() {
  return {.hostname = "web-1.example.org",
          .roles = {"base", "web"},
          .network = "version: 2\n",
          .ssh_keys = {"ssh-ed25519 AAAA it's \"me\" \\ #1: é"},
          .user_data = {}};
}

const FileEdit* find(const std::vector<FileEdit>& edits, std::string_view path) {
  for (const FileEdit& edit : edits)
    if (edit.path == path) return &edit;
  return nullptr;
}

TEST(Render, Golden) {
  std::string got;
  for (const FileEdit& edit : render(web(), "iid-d1-0123456789ab", true, {"ssh_host_rsa_key"}))
    got += edit.kind == FileEdit::Kind::remove ? fmt::format("remove {}\n", edit.path)
                                               : fmt::format("write {} {:o}\n{}", edit.path, edit.mode, edit.content);
  EXPECT_EQ(got,
            "write /var/lib/cloud/seed/nocloud/meta-data 600\n"
            "instance-id: \"iid-d1-0123456789ab\"\n"
            "local-hostname: \"web-1.example.org\"\n"
            "public-keys:\n"
            "  - \"ssh-ed25519 AAAA it's \\\"me\\\" \\\\ #1: é\"\n"
            "write /var/lib/cloud/seed/nocloud/user-data 600\n"
            "#cloud-config\n"
            "preserve_hostname: false\n"
            "write /var/lib/cloud/seed/nocloud/network-config 600\n"
            "version: 2\n"
            "write /etc/machine-id 444\n"
            "remove /var/lib/dbus/machine-id\n"
            "remove /var/lib/systemd/random-seed\n"
            "remove /var/lib/systemd/credential.secret\n"
            "remove /etc/ssh/ssh_host_rsa_key\n"
            "write /etc/stampede/roles 644\n"
            "base\nweb\n");
}

TEST(Render, WithoutCloudInitAndWithoutMembers) {
  EXPECT_EQ(find(render(web(), "i", false, {}), "/etc/hostname")->content, "web-1.example.org\n");
  Instance far = web();
  far.hostname = "web-1." + std::string(60, 'a') + ".example";
  EXPECT_EQ(find(render(far, "i", false, {}), "/etc/hostname")->content, "web-1\n");
  const auto bare = render({}, "i", false, {});
  EXPECT_EQ(find(bare, "/etc/hostname"), nullptr);
  EXPECT_EQ(find(bare, "/etc/stampede/roles"), nullptr);
  // Without cloud-init nobody would make new host keys.
  EXPECT_EQ(find(render(Instance{}, "i", false, {"ssh_host_rsa_key"}), "/etc/ssh/ssh_host_rsa_key"), nullptr);
  EXPECT_EQ(find(bare, "/var/lib/cloud/seed/nocloud/network-config")->kind, FileEdit::Kind::remove);
  EXPECT_EQ(find(bare, "/var/lib/cloud/seed/nocloud/meta-data")->content, "instance-id: \"i\"\n");
  EXPECT_EQ(find(bare, "/var/lib/cloud/seed/nocloud/user-data")->content, "#cloud-config\n{}\n");
  Instance script;
  script.user_data = "#!/bin/sh\n";
  EXPECT_EQ(find(render(script, "i", true, {}), "/var/lib/cloud/seed/nocloud/user-data")->content, "#!/bin/sh\n");
}

TEST(Check, SaysWhy) {
  volume::ImageFacts facts;
  EXPECT_EQ(check(facts).error().code, Code::cannot_customise);
  facts.root = volume::RootFacts{};
  facts.root->filesystem = "xfs";
  facts.root->clean = true;
  EXPECT_NE(check(facts).error().message.find("xfs"), std::string::npos);
  facts.root->filesystem = "ext4";
  EXPECT_TRUE(check(facts));
  facts.root->clean = false;
  EXPECT_NE(check(facts).error().message.find("not clean"), std::string::npos);
}

class Apply : public testing::Test {
 protected:
  void SetUp() override {
    if (!volume::have("mke2fs") || !volume::have("e2fsck")) GTEST_SKIP() << "needs e2fsprogs";
    const auto tree = scratch_ / "tree";
    volume::make_root_tree(tree);
    volume::put(tree / "var/lib/dbus/machine-id", "0123456789abcdef0123456789abcdef\n");
    volume::put(tree / "var/lib/cloud/seed/nocloud/network-config", "version: 2\n# of the template\n");
    volume::make_disk(image_, 8U << 20);
    const auto made = run(fmt::format("mke2fs -q -F -t ext4 -L root -d {} {}", tree.string(), image_.string()));
    ASSERT_EQ(made.code, 0) << made.output;
    facts_ = volume::inspect(image_).value();
    ASSERT_TRUE(facts_.root);
  }
  volume::Scratch scratch_;
  std::filesystem::path image_ = scratch_ / "image";
  volume::ImageFacts facts_;
};

TEST_F(Apply, MakesItItsOwnMachine) {
  MemoryBlocks blocks = MemoryBlocks::load(image_);
  Instance instance = web();
  instance.network.reset();
  const auto changed = apply(blocks, facts_, instance, "iid-d1-0123");
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(*changed, (std::vector<std::string>{
                          "/var/lib/cloud/seed/nocloud/meta-data", "/var/lib/cloud/seed/nocloud/user-data",
                          "/var/lib/cloud/seed/nocloud/network-config", "/etc/machine-id", "/var/lib/dbus/machine-id",
                          "/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_ed25519_key.pub", "/etc/ssh/ssh_host_rsa_key",
                          "/etc/ssh/ssh_host_rsa_key.pub", "/etc/stampede/roles"}));
  EXPECT_GE(blocks.flushes, 1U);
  blocks.save(image_);
  const auto checked = run("e2fsck -fn " + image_.string());
  EXPECT_EQ(checked.code, 0) << checked.output;
  const auto cat = [&](const std::string& path) {
    return run(fmt::format("debugfs -R 'cat {}' {} 2>/dev/null", path, image_.string())).output;
  };
  EXPECT_EQ(cat("/var/lib/cloud/seed/nocloud/meta-data").find("instance-id: \"iid-d1-0123\""), 0U);
  EXPECT_EQ(cat("/etc/stampede/roles"), "base\nweb\n");
  EXPECT_EQ(cat("/etc/machine-id"), "");
  EXPECT_EQ(cat("/etc/ssh/sshd_config"), "UsePAM yes\n");
  EXPECT_EQ(cat("/etc/hostname"), "template\n");  // cloud-init's affair
}

TEST_F(Apply, ADbusLinkStays) {
  ASSERT_EQ(
      run(fmt::format("debugfs -w -R 'rm /var/lib/dbus/machine-id' {0} && debugfs -w -R 'symlink /var/lib/dbus/machine-id "
                      "/etc/machine-id' {0}",
                      image_.string()))
          .code,
      0);
  MemoryBlocks blocks = MemoryBlocks::load(image_);
  const auto changed = apply(blocks, facts_, web(), "i");
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(std::ranges::count(*changed, "/var/lib/dbus/machine-id"), 0);
  EXPECT_EQ(Ext4::open(blocks, {}, false)->kind("/var/lib/dbus/machine-id").value(), Ext4::Kind::link);
}

TEST_F(Apply, TwiceIsTheSame) {
  MemoryBlocks blocks = MemoryBlocks::load(image_);
  ASSERT_TRUE(apply(blocks, facts_, web(), "one"));
  ASSERT_TRUE(apply(blocks, facts_, web(), "two"));
  const auto files = Ext4::open(blocks, {}, false).value();
  EXPECT_NE(as_text(files.read("/var/lib/cloud/seed/nocloud/meta-data", 4_KiB).value()).find("\"two\""), std::string::npos);
}

TEST_F(Apply, AnyFailingWriteOrReadIsAnError) {
  const MemoryBlocks fresh = MemoryBlocks::load(image_);
  MemoryBlocks counting = fresh;
  counting.reads_fail_at = 1U << 30;
  ASSERT_TRUE(apply(counting, facts_, web(), "i"));
  for (std::size_t n = 1; n <= counting.writes; n += n < 20 || n + 20 > counting.writes ? 1 : 5) {
    MemoryBlocks blocks = fresh;
    blocks.fail_at = n;
    EXPECT_FALSE(apply(blocks, facts_, web(), "i")) << "write " << n;
  }
  for (std::size_t n = 1; n <= counting.reads; n += n < 20 || n + 20 > counting.reads ? 1 : 5) {
    MemoryBlocks blocks = fresh;
    blocks.reads_fail_at = n;
    EXPECT_FALSE(apply(blocks, facts_, web(), "i")) << "read " << n;
  }
}

// A disk that accepts every write and keeps only the first ones.
class Forgetful final : public volume::BlockAccess {
 public:
  explicit Forgetful(MemoryBlocks blocks, std::size_t keeps) : blocks_(std::move(blocks)), keeps_(keeps) {}
  Size size() const override { return blocks_.size(); }
  Result<> read(Offset offset, MutableBytes out) override { return blocks_.read(offset, out); }
  Result<> write(Offset offset, ByteView bytes) override {
    return writes++ < keeps_ ? blocks_.write(offset, bytes) : Result<>{};
  }
  Result<> flush() override { return {}; }
  std::size_t writes = 0;

 private:
  MemoryBlocks blocks_;
  std::size_t keeps_;
};

TEST_F(Apply, ReadBackFindsWhatADiskForgot) {
  const MemoryBlocks fresh = MemoryBlocks::load(image_);
  Forgetful all(fresh, 1U << 30);
  ASSERT_TRUE(apply(all, facts_, web(), "i"));
  for (const std::size_t keeps : {std::size_t{0}, all.writes / 4, all.writes / 2}) {
    Forgetful disk(fresh, keeps);
    EXPECT_FALSE(apply(disk, facts_, web(), "i")) << keeps;
  }
}

}  // namespace
}  // namespace stampede::firstboot

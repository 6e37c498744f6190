#include "src/volume/ext4.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/volume/images.h"

namespace stampede::volume {
namespace {

// How the kinds of file system that templates come with are made.
struct Kind {
  const char* name;
  const char* options;
};
std::ostream& operator<<(std::ostream& out, const Kind& kind) { return out << kind.name; }

constexpr Kind kKinds[] = {
    {"debian12", "-t ext4 -b 4096"},
    {"small_blocks", "-t ext4 -b 1024"},
    {"csum64", "-t ext4 -O 64bit,metadata_csum -b 1024 -I 256"},
    {"no_csum", "-t ext4 -O ^metadata_csum,uninit_bg"},
    {"no_csum_at_all", "-t ext4 -O ^metadata_csum,^uninit_bg,^64bit"},
    {"inline_data", "-t ext4 -O inline_data -I 512"},
    {"ext2", "-t ext2 -b 1024"},
    {"ext3", "-t ext3 -I 128"},
    {"no_index", "-t ext4 -O ^dir_index"},
    {"meta_bg", "-t ext4 -O meta_bg,^resize_inode -b 1024"},
    {"bigalloc", "-t ext4 -O bigalloc -C 16384"},
    {"orphan_file", "-t ext4 -O orphan_file"},
};

class Ext4Kinds : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    if (!have("mke2fs") || !have("e2fsck") || !have("debugfs")) GTEST_SKIP() << "needs e2fsprogs";
    static Scratch templates;  // made once for each kind
    const auto made = templates / GetParam().name;
    if (!std::filesystem::exists(made)) make_template(templates / "tree", made);
    std::filesystem::copy_file(made, image_);
  }
  static void make_template(const std::filesystem::path& tree, const std::filesystem::path& image) {
    if (!std::filesystem::exists(tree)) {
      make_root_tree(tree);
      for (int i = 0; i < 700; ++i) put(tree / "many" / ("a-file-with-a-rather-long-name-" + std::to_string(i)), "x");
      put(tree / "etc/large", std::string(300'000, 'L'));
      put(tree / "etc/small", "s");
    }
    make_disk(image, 24U << 20);
    const Ran made = run(fmt::format("mke2fs -q -F {} -d {} {}", GetParam().options, tree.string(), image.string()));
    ASSERT_EQ(made.code, 0) << made.output;
    // Gives the large folder its hash tree, which mke2fs does not.
    ASSERT_LE(run("e2fsck -fyD " + image.string()).code, 1);
  }
  void expect_clean() {
    const Ran check = run("e2fsck -fn " + image_.string());
    EXPECT_EQ(check.code, 0) << check.output;
  }
  std::string debugfs(const std::string& request) {
    return run(fmt::format("debugfs -R '{}' {}", request, image_.string())).output;
  }
  Ext4 open(bool writable) {
    blocks_ = std::move(open_blocks(image_, writable).value());
    return std::move(Ext4::open(*blocks_, {}, writable).value());
  }
  std::string text(const Ext4& files, std::string_view path) {
    const auto bytes = files.read(path, 1_MiB);
    return bytes ? std::string(as_text(*bytes)) : "error: " + bytes.error().message;
  }

  Scratch scratch_;
  std::filesystem::path image_ = scratch_ / "image";
  std::unique_ptr<BlockAccess> blocks_;
};

TEST_P(Ext4Kinds, ReadsAndLists) {
  const Ext4 files = open(false);
  EXPECT_TRUE(files.exists("/etc/os-release"));
  EXPECT_TRUE(files.exists("/bin/sh"));
  EXPECT_FALSE(files.exists("/etc/none"));
  EXPECT_EQ(text(files, "/etc/os-release"), "NAME=\"Debian GNU/Linux\"\nID=debian\nVERSION_ID=\"12\"\n");
  EXPECT_EQ(files.read("/etc/large", {299'999}).error().code, Code::read_failed);
  EXPECT_EQ(files.read("/etc/none", 1_KiB).error().code, Code::not_found);
  EXPECT_EQ(files.read("/etc", 1_MiB).error().code, Code::read_failed);
  EXPECT_EQ(files.kind("/bin").value(), Ext4::Kind::link);
  EXPECT_EQ(files.kind("/etc").value(), Ext4::Kind::folder);
  EXPECT_EQ(files.kind("/bin/dash").value(), Ext4::Kind::file);
  EXPECT_EQ(files.kind("/none/at/all").value(), Ext4::Kind::none);
  EXPECT_EQ(files.list("/many")->size(), 700U);
  auto names = files.list("/etc/ssh").value();
  std::ranges::sort(names);
  EXPECT_EQ(names, (std::vector<std::string>{"ssh_host_ed25519_key", "ssh_host_ed25519_key.pub", "ssh_host_rsa_key",
                                             "ssh_host_rsa_key.pub", "sshd_config"}));
}

TEST_P(Ext4Kinds, WritesReplacesAndRemoves) {
  const std::string large(100'000, 'N');
  {
    Ext4 files = open(true);
    ASSERT_TRUE(files.write("/var/lib/cloud/seed/nocloud/meta-data", as_bytes("instance-id: x\n"), 0600));
    ASSERT_TRUE(files.write("/etc/machine-id", {}, 0444));
    ASSERT_TRUE(files.write("/etc/os-release", as_bytes("ID=changed\n"), 0644));  // through the link
    ASSERT_TRUE(files.write("/etc/large", as_bytes("now short"), 0644));
    ASSERT_TRUE(files.write("/etc/small", as_bytes(large), 0640));
    ASSERT_TRUE(files.write("/new", as_bytes(large), 0755));
    ASSERT_TRUE(files.remove("/etc/ssh/ssh_host_rsa_key"));
    ASSERT_TRUE(files.remove("/usr/bin/sh"));
    ASSERT_TRUE(files.remove("/etc/none"));
    ASSERT_TRUE(files.remove("/none/at/all"));
    EXPECT_EQ(files.write("/etc", as_bytes("x"), 0644).error().code, Code::cannot_customise);
    EXPECT_EQ(files.write("etc", as_bytes("x"), 0644).error().code, Code::usage);
    EXPECT_EQ(files.write("/etc/../x", as_bytes("x"), 0644).error().code, Code::usage);
    EXPECT_EQ(files.write("/etc/hostname/x", as_bytes("x"), 0644).error().code, Code::read_failed);
    EXPECT_EQ(files.remove("/etc").error().code, Code::cannot_customise);
    const auto closed = files.close();
    ASSERT_TRUE(closed) << closed.error().message;
  }
  expect_clean();
  const Ext4 files = open(false);
  EXPECT_EQ(text(files, "/var/lib/cloud/seed/nocloud/meta-data"), "instance-id: x\n");
  EXPECT_EQ(text(files, "/etc/machine-id"), "");
  EXPECT_EQ(text(files, "/usr/lib/os-release"), "ID=changed\n");
  EXPECT_EQ(files.kind("/etc/os-release").value(), Ext4::Kind::link);
  EXPECT_EQ(text(files, "/etc/large"), "now short");
  EXPECT_EQ(text(files, "/etc/small"), large);
  EXPECT_EQ(text(files, "/new"), large);
  EXPECT_EQ(files.kind("/etc/ssh/ssh_host_rsa_key").value(), Ext4::Kind::none);
  EXPECT_EQ(files.kind("/usr/bin/sh").value(), Ext4::Kind::none);
  // What another reader says of it.
  EXPECT_NE(debugfs("stat /var/lib/cloud/seed/nocloud/meta-data").find("Mode:  0600"), std::string::npos);
  EXPECT_NE(debugfs("stat /var/lib/cloud/seed").find("Mode:  0755"), std::string::npos);
  EXPECT_NE(debugfs("stat /etc/machine-id").find("Mode:  0444"), std::string::npos);
  EXPECT_NE(debugfs("stat /etc/small").find("User:     0   Group:     0"), std::string::npos);
}

TEST_P(Ext4Kinds, FoldersGrowAndKeepTheirOldNames) {
  {
    Ext4 files = open(true);
    for (int i = 0; i < 300; ++i)
      ASSERT_TRUE(files.write("/many/another-file-with-a-long-name-" + std::to_string(i), as_bytes("y"), 0644));
    for (int i = 0; i < 700; i += 7) ASSERT_TRUE(files.remove("/many/a-file-with-a-rather-long-name-" + std::to_string(i)));
    const auto closed = files.close();
    ASSERT_TRUE(closed) << closed.error().message;
  }
  expect_clean();
  const Ext4 files = open(false);
  EXPECT_EQ(files.list("/many")->size(), 900U);
  EXPECT_EQ(text(files, "/many/another-file-with-a-long-name-299"), "y");
  EXPECT_EQ(text(files, "/many/a-file-with-a-rather-long-name-699"), "x");
}

TEST_P(Ext4Kinds, LinksToNowhereAreReplacedAndHardLinksShare) {
  ASSERT_TRUE(have("debugfs"));
  debugfs("symlink x y");  // opened read-only: changes nothing
  run(fmt::format("debugfs -w -R 'symlink /etc/dangling /run/nowhere' {}", image_.string()));
  run(fmt::format("debugfs -w -R 'symlink /etc/loop /etc/loop' {}", image_.string()));
  run(fmt::format("debugfs -w -R 'symlink /etc/far /{}' {}", std::string(90, 'f'), image_.string()));
  run(fmt::format("debugfs -w -R 'ln /etc/hostname /etc/same' {}", image_.string()));
  run(fmt::format("debugfs -w -R 'sif /etc/hostname links_count 2' {}", image_.string()));
  expect_clean();
  {
    Ext4 files = open(true);
    ASSERT_TRUE(files.write("/etc/dangling", as_bytes("d"), 0644));
    EXPECT_FALSE(files.exists("/etc/loop"));
    EXPECT_TRUE(files.remove("/etc/loop"));
    EXPECT_TRUE(files.remove("/etc/far"));
    ASSERT_TRUE(files.write("/etc/hostname", as_bytes("both"), 0644));
    ASSERT_TRUE(files.remove("/etc/hostname"));
    ASSERT_TRUE(files.close());
  }
  expect_clean();
  const Ext4 files = open(false);
  EXPECT_EQ(files.kind("/etc/dangling").value(), Ext4::Kind::file);
  EXPECT_EQ(text(files, "/etc/same"), "both");
}

TEST_P(Ext4Kinds, AFullFileSystemIsAnErrorAndIsNotClosed) {
  Ext4 files = open(true);
  const auto done = files.write("/huge", Bytes(64U << 20), 0644);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::no_space) << done.error().message;
  EXPECT_FALSE(files.close());
}

Size total_of(const std::vector<Range>& ranges) {
  Size total;
  for (const Range& range : ranges) total += range.length;
  return total;
}

TEST_P(Ext4Kinds, EveryBlockHasOneOwner) {
  const auto blocks = open_blocks(image_, false);
  ASSERT_TRUE(blocks);
  const auto files = Ext4::look(**blocks, {});
  ASSERT_TRUE(files) << files.error().message;
  const Range all{{}, (*blocks)->size()};
  const auto owners = files->owners(std::span(&all, 1));
  ASSERT_TRUE(owners) << owners.error().message;
  std::map<std::string, Size> named;
  Size used, free;
  for (const Owner& owner : *owners) {
    (owner.kind == Owner::Kind::free ? free : used) += total_of(owner.ranges);
    if (owner.kind == Owner::Kind::named) named[owner.path] = total_of(owner.ranges);
  }
  EXPECT_EQ(used + free, all.length);
  EXPECT_GE(named["/etc/large"], Size{300'000});
  EXPECT_LT(named["/etc/large"], Size{340'000});
  EXPECT_TRUE(named.contains("/many/"));
  const auto in_use = files->used();
  ASSERT_TRUE(in_use) << in_use.error().message;
  EXPECT_EQ(total_of(*in_use), used);
  EXPECT_EQ(files->last_mounted(), 0);

  // The journal, if it has one, and most of the inodes; nothing that a name leads to.
  const auto idle = files->idle();
  ASSERT_TRUE(idle) << idle.error().message;
  const std::string super = run("dumpe2fs -h " + image_.string() + " 2>/dev/null").output;
  const bool knows = super.find("metadata_csum") != super.npos || super.find("uninit_bg") != super.npos;
  if (super.find("has_journal") != super.npos) EXPECT_GE(total_of(*idle), 1_MiB);
  if (knows) EXPECT_FALSE(idle->empty());
  const auto of_idle = files->owners(*idle);
  ASSERT_TRUE(of_idle) << of_idle.error().message;
  for (const Owner& owner : *of_idle) EXPECT_EQ(owner.kind, Owner::Kind::metadata) << owner.path;
}

TEST_P(Ext4Kinds, ABlockIsOfItsFile) {
  const auto blocks = open_blocks(image_, false);
  ASSERT_TRUE(blocks);
  const auto files = Ext4::look(**blocks, {});
  ASSERT_TRUE(files) << files.error().message;
  const std::string block_size =
      run("dumpe2fs -h " + image_.string() + " 2>/dev/null | sed -n 's/^Block size: *//p'").output;
  const std::uint64_t size = std::stoull(block_size);
  const std::string said = debugfs("bmap /etc/large 7");
  const std::uint64_t block = std::stoull(said.substr(said.find('\n') + 1));
  const std::vector<Range> asked{{{block * size + 100}, {1}}, {{block * size + 200}, {5}}};
  const auto owners = files->owners(asked);
  ASSERT_TRUE(owners) << owners.error().message;
  ASSERT_EQ(owners->size(), 1U);
  EXPECT_EQ(owners->front().path, "/etc/large");
  EXPECT_EQ(owners->front().ranges, (std::vector<Range>{{{block * size}, {size}}}));
}

INSTANTIATE_TEST_SUITE_P(All, Ext4Kinds, testing::ValuesIn(kKinds), [](const auto& test) { return test.param.name; });

class Ext4Faults : public testing::Test {
 protected:
  void SetUp() override {
    if (!have("mke2fs")) GTEST_SKIP() << "needs e2fsprogs";
    make_root_tree(scratch_ / "tree");
    make_disk(scratch_ / "image", 8U << 20);
    const Ran made = run(
        fmt::format("mke2fs -q -F -t ext4 -b 1024 -d {} {}", (scratch_ / "tree").string(), (scratch_ / "image").string()));
    ASSERT_EQ(made.code, 0) << made.output;
  }
  static Result<> edit(BlockAccess& blocks) {
    STAMPEDE_TRY(Ext4 files, Ext4::open(blocks, {}, true));
    STAMPEDE_CHECK(files.write("/var/lib/seed/a", as_bytes(std::string(5000, 'a')), 0600));
    STAMPEDE_CHECK(files.write("/etc/machine-id", {}, 0444));
    STAMPEDE_CHECK(files.remove("/etc/ssh/ssh_host_rsa_key"));
    return files.close();
  }
  Scratch scratch_;
};

TEST_F(Ext4Faults, AnyFailingWriteIsAnError) {
  MemoryBlocks counting = MemoryBlocks::load(scratch_ / "image");
  ASSERT_TRUE(edit(counting));
  ASSERT_GT(counting.writes, 10U);
  EXPECT_GE(counting.flushes, 1U);
  const MemoryBlocks fresh = MemoryBlocks::load(scratch_ / "image");
  for (std::size_t n = 1; n <= counting.writes; ++n) {
    MemoryBlocks blocks = fresh;
    blocks.fail_at = n;
    const auto done = edit(blocks);
    ASSERT_FALSE(done) << "write " << n << " of " << counting.writes << " failed, and the edit did not";
    EXPECT_TRUE(done.error().code == Code::write_failed || done.error().code == Code::flush_failed) << done.error().message;
  }
}

TEST_F(Ext4Faults, AnyFailingReadIsAnError) {
  const MemoryBlocks fresh = MemoryBlocks::load(scratch_ / "image");
  MemoryBlocks counting = fresh;
  counting.reads_fail_at = 1U << 30;
  ASSERT_TRUE(edit(counting));
  for (std::size_t n = 1; n <= counting.reads; ++n) {
    MemoryBlocks blocks = fresh;
    blocks.reads_fail_at = n;
    ASSERT_FALSE(edit(blocks)) << "read " << n << " of " << counting.reads << " failed, and the edit did not";
  }
}

TEST_F(Ext4Faults, WithoutCloseNothingIsClaimed) {
  MemoryBlocks blocks = MemoryBlocks::load(scratch_ / "image");
  {
    auto files = Ext4::open(blocks, {}, true).value();
  }
  EXPECT_EQ(blocks.bytes(), MemoryBlocks::load(scratch_ / "image").bytes());
}

TEST_F(Ext4Faults, RefusesWhatIsNotClean) {
  const std::string image = (scratch_ / "image").string();
  const auto refused = [&](const std::string& field, const std::string& word) {
    ASSERT_EQ(run(fmt::format("cp {0} {0}.x && debugfs -w -R '{1}' {0}.x", image, field)).code, 0);
    MemoryBlocks blocks = MemoryBlocks::load(image + ".x");
    const auto opened = Ext4::open(blocks, {}, true);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Code::cannot_customise);
    EXPECT_NE(opened.error().message.find(word), std::string::npos) << opened.error().message;
    EXPECT_TRUE(Ext4::look(blocks, {}) || word == "unsupported");
  };
  refused("feature needs_recovery", "journal");
  refused("ssv state 3", "errors");
  refused("ssv state 0", "unmounted");
  refused("ssv last_orphan 13", "orphan");
  MemoryBlocks zeros(Bytes(1U << 20));
  EXPECT_EQ(Ext4::open(zeros, {}, false).error().code, Code::cannot_customise);
  MemoryBlocks nothing(Bytes{});
  EXPECT_EQ(Ext4::open(nothing, {}, false).error().code, Code::cannot_customise);
  EXPECT_EQ(Ext4::open(nothing, {1U << 20}, false).error().code, Code::cannot_customise);
  MemoryBlocks cut = MemoryBlocks::load(image);
  cut.bytes().resize(cut.bytes().size() - 4096);
  EXPECT_EQ(Ext4::open(cut, {}, false).error().code, Code::cannot_customise);
}

TEST_F(Ext4Faults, RefusesWhatItCouldNotKeepConsistent) {
  const std::string image = (scratch_ / "q").string();
  make_disk(image, 8U << 20);
  ASSERT_EQ(run("mke2fs -q -F -t ext4 -O quota " + image).code, 0);
  MemoryBlocks blocks = MemoryBlocks::load(image);
  EXPECT_EQ(Ext4::open(blocks, {}, true).error().code, Code::cannot_customise);
  EXPECT_TRUE(Ext4::open(blocks, {}, false));
}

// Two levels of hash tree with checksums: adding a name makes it a plain list again, which must stay whole.
TEST_F(Ext4Faults, DeepHashTrees) {
  const auto tree = scratch_ / "deep", image = scratch_ / "deep-image";
  put(tree / "many/first", "x");
  const auto name = [](int i) { return fmt::format("many/{:0>60}", i); };
  for (int i = 0; i < 3000; ++i) std::filesystem::create_hard_link(tree / "many/first", tree / name(i));
  make_disk(image, 8U << 20);
  ASSERT_EQ(run(fmt::format("mke2fs -q -F -t ext4 -b 1024 -d {} {}", tree.string(), image.string())).code, 0);
  ASSERT_LE(run("e2fsck -fyD " + image.string()).code, 1);
  ASSERT_NE(run("debugfs -R 'htree /many' " + image.string()).output.find("Indirect levels: 1"), std::string::npos);
  auto blocks = open_blocks(image, true).value();
  auto files = Ext4::open(*blocks, {}, true).value();
  for (int i = 0; i < 3000; i += 3) ASSERT_TRUE(files.remove("/" + name(i)));
  for (int i = 5000; i < 5050; ++i) ASSERT_TRUE(files.write("/" + name(i), as_bytes("y"), 0644));
  ASSERT_EQ(files.list("/many")->size(), 3001U - 1000 + 50);
  ASSERT_TRUE(files.close());
  const Ran check = run("e2fsck -fn " + image.string());
  EXPECT_EQ(check.code, 0) << check.output;
}

// libext2fs only mumbles when a file's block lies outside the file system; the edit must say so.
TEST_F(Ext4Faults, DamageFoundInPassingIsAnError) {
  const std::string image = (scratch_ / "d").string();
  make_disk(image, 8U << 20);
  ASSERT_EQ(run(fmt::format("mke2fs -q -F -t ext2 -b 1024 -d {} {}", (scratch_ / "tree").string(), image)).code, 0);
  ASSERT_EQ(run(fmt::format("debugfs -w -R 'sif /etc/hostname block[0] 99999999' {}", image)).code, 0);
  MemoryBlocks blocks = MemoryBlocks::load(image);
  auto files = Ext4::open(blocks, {}, true).value();
  const auto done = files.write("/etc/hostname", as_bytes("x"), 0644);
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find("damaged"), std::string::npos) << done.error().message;
  EXPECT_FALSE(files.close());
}

TEST_F(Ext4Faults, AtAnOffset) {
  Bytes disk(1U << 20);
  MemoryBlocks alone = MemoryBlocks::load(scratch_ / "image");
  disk.insert(disk.end(), alone.bytes().begin(), alone.bytes().end());
  disk.resize(disk.size() + 5000);
  MemoryBlocks blocks(disk);
  auto files = Ext4::open(blocks, {1U << 20}, true).value();
  ASSERT_TRUE(files.write("/x", as_bytes("offset"), 0644));
  ASSERT_TRUE(files.close());
  EXPECT_TRUE(std::equal(blocks.bytes().begin(), blocks.bytes().begin() + (1 << 20), disk.begin()));
  auto again = Ext4::open(blocks, {1U << 20}, false).value();
  EXPECT_EQ(as_text(again.read("/x", 1_KiB).value()), "offset");
}

}  // namespace
}  // namespace stampede::volume

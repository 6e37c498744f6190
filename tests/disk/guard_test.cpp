#include "src/disk/guard.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include <algorithm>

#include "src/disk/rules.h"
#include "src/disk/target.h"
#include "tests/disk/sample_image.h"
#include "tests/disk/scratch.h"
#include "tests/disk/table_model.h"

namespace stampede::disk {
namespace {

namespace fs = std::filesystem;

constexpr Size kDisk = 16_MiB;

Code code_of(const auto& result) { return result ? Code::internal : result.error().code; }
Selector named(const std::string& text) { return *Selector::parse(text); }
std::string message_of(const auto& result) { return result ? "no error" : result.error().message; }

TEST(Rules, TheGravestIsNamed) {
  Disk disk{.path = "/dev/sdx",
            .read_only = true,
            .mounts = {"/dev/sdx1 on /a"},
            .swaps = {"/dev/sdx2"},
            .holders = {"dm-0"},
            .own = true};
  EXPECT_EQ(code_of(check_unused(disk)), Code::mounted);
  EXPECT_NE(message_of(check_unused(disk)).find("/dev/sdx1 on /a"), std::string::npos);
  disk.mounts.clear();
  EXPECT_EQ(code_of(check_unused(disk)), Code::swap);
  disk.swaps.clear();
  EXPECT_EQ(code_of(check_unused(disk)), Code::in_use);
  disk.holders.clear();
  EXPECT_EQ(code_of(check_unused(disk)), Code::read_only);
  disk.read_only = false;
  EXPECT_EQ(code_of(check_unused(disk)), Code::own_disk);
  disk.own = false;
  EXPECT_TRUE(check_unused(disk));
}

TEST(Rules, RemovableHasToBeSaid) {
  const Disk fixed{.path = "/dev/sdx"}, stick{.path = "/dev/sdx", .removable = true};
  for (const char* const text : {"dev:/dev/sdx", "serial:S", "size<1T", "not removable", "model:removable"})
    EXPECT_EQ(code_of(check_removable(stick, named(text))), Code::removable) << text;
  EXPECT_NE(message_of(check_removable(stick, named("serial:S"))).find("--disk \"serial:S,removable\""), std::string::npos);
  EXPECT_TRUE(check_removable(stick, named("serial:S,removable")));
  EXPECT_TRUE(check_removable(fixed, named("serial:S")));
}

TEST(Rules, OverwriteNamesOneDisk) {
  const Disk disk{.path = "/dev/null", .serial = "S1", .wwn = "naa.1", .guid = "abcd-ef"};
  for (const char* const name :
       {"S1", "naa.1", "abcd-ef", "ABCD-EF", "/dev/null", "/dev/../dev/null", "serial:S1", "wwn:naa.1", "dev:/dev/null"})
    EXPECT_TRUE(overwrite_names(name, disk)) << name;
  for (const char* const name : {"", "s1", "S", "serial:", "wwn:S1", "serial:naa.1", "dev:/dev/zero", "/dev", "yes"})
    EXPECT_FALSE(overwrite_names(name, disk)) << name;
  const Disk nameless{.path = "/dev/null"};
  for (const char* const name : {"", "serial:", "wwn:"}) EXPECT_FALSE(overwrite_names(name, nameless)) << name;
}

// --- on loop devices ---

class DeviceGuard : public ::testing::Test {
 protected:
  bool attach(Size size = kDisk, std::uint32_t sector = 512) {
    device_ = LoopDevice::make(file(), size, sector);
    return device_ != nullptr;
  }
  fs::path file() const { return folder_.path() / "disk"; }
  Result<GuardedDisk> open(Needs needs = {.size = kDisk}) const {
    return open_guarded(named("dev:" + device_->path()), needs, *list_disks());
  }
  Verdict verdict() const { return verdict_on(described()); }
  Disk described() const {
    Disk disk = *describe(device_->path());
    look_into(disk);
    return disk;
  }
  void put_gpt() const {
    Bytes bytes(kDisk.bytes);
    write_gpt(bytes, kDisk, 512, {std::byte{0xab}, {{{1 << 20}, 4_MiB}}});
    put(file(), bytes);
  }

  const Scratch folder_;
  std::unique_ptr<LoopDevice> device_;
};

#define ATTACH(...) \
  if (!attach(__VA_ARGS__)) GTEST_SKIP() << "no loop device can be attached here"

TEST_F(DeviceGuard, ABlankDiskMayBeWritten) {
  ATTACH();
  const auto disk = open();
  ASSERT_TRUE(disk) << disk.error().message;
  EXPECT_EQ(disk->identity.path, device_->path());
  EXPECT_EQ(disk->identity.size, kDisk);
  EXPECT_EQ(disk->alignment, 512U);
  EXPECT_FALSE(disk->is_file);
  EXPECT_FALSE(disk->interrupted);
  EXPECT_NE(::fcntl(disk->file.fd(), F_GETFL) & O_DIRECT, 0);
}

TEST_F(DeviceGuard, VerdictWithoutWriting) {
  ATTACH();
  EXPECT_TRUE(verdict().writable) << verdict().reason;
  const auto held = open();
  ASSERT_TRUE(held);
  EXPECT_FALSE(verdict().writable);
  EXPECT_EQ(verdict().code, Code::in_use);
}

TEST_F(DeviceGuard, HeldExclusivelyIsInUse) {
  ATTACH();
  const auto first = open();
  ASSERT_TRUE(first);
  EXPECT_EQ(code_of(open()), Code::in_use) << message_of(open());
}

TEST_F(DeviceGuard, MountedIsRefused) {
  ATTACH();
  ASSERT_EQ(run("mkfs.ext4 -q -F " + device_->path()).code, 0);
  const fs::path where = folder_.path() / "mnt";
  fs::create_directory(where);
  if (const Ran ran = run(fmt::format("mount {} {}", device_->path(), where.string())); ran.code != 0)
    GTEST_SKIP() << "cannot mount here: " << ran.output;
  const auto refused = open({.size = kDisk, .overwrite = device_->path()});
  const Verdict seen = verdict();
  run("umount " + where.string());
  EXPECT_EQ(code_of(refused), Code::mounted) << message_of(refused);
  EXPECT_NE(message_of(refused).find(where.string()), std::string::npos) << message_of(refused);
  EXPECT_EQ(seen.code, Code::mounted);
}

TEST_F(DeviceGuard, MountedPartitionIsRefused) {
  put_gpt();
  ATTACH();
  if (const Ran ran = run("partx --add " + device_->path()); ran.code != 0) GTEST_SKIP() << "no partx here: " << ran.output;
  const std::string partition = device_->path() + "p1";
  const fs::path where = folder_.path() / "mnt";
  fs::create_directory(where);
  EXPECT_EQ(run("mkfs.ext4 -q -F " + partition).code, 0);
  const Ran mounted = run(fmt::format("mount {} {}", partition, where.string()));
  const auto refused = open({.size = kDisk, .overwrite = device_->path()});
  run("umount " + where.string());
  const auto partition_named = open_guarded(named("dev:" + partition), {.size = 1_MiB}, *list_disks());
  run("partx --delete " + device_->path());
  if (mounted.code != 0) GTEST_SKIP() << "cannot mount here: " << mounted.output;
  EXPECT_EQ(code_of(refused), Code::mounted) << message_of(refused);
  EXPECT_EQ(code_of(partition_named), Code::no_match);
  EXPECT_NE(message_of(partition_named).find("name the whole disk"), std::string::npos) << message_of(partition_named);
}

TEST_F(DeviceGuard, SwapIsRefused) {
  ATTACH();
  ASSERT_EQ(run("mkswap " + device_->path()).code, 0);
  if (const Ran ran = run("swapon " + device_->path()); ran.code != 0) GTEST_SKIP() << "no swap here: " << ran.output;
  const auto refused = open({.size = kDisk, .overwrite = device_->path()});
  run("swapoff " + device_->path());
  EXPECT_EQ(code_of(refused), Code::swap) << message_of(refused);
}

TEST_F(DeviceGuard, ReadOnlyIsRefused) {
  ATTACH();
  ASSERT_EQ(run("blockdev --setro " + device_->path()).code, 0);
  EXPECT_EQ(code_of(open()), Code::read_only) << message_of(open());
  EXPECT_EQ(verdict().code, Code::read_only);
}

TEST_F(DeviceGuard, TooSmallIsRefused) {
  ATTACH();
  EXPECT_EQ(code_of(open({.size = kDisk + 1_B})), Code::too_small) << message_of(open({.size = kDisk + 1_B}));
}

TEST_F(DeviceGuard, AnotherSectorSizeIsRefused) {
  ATTACH(kDisk, 4096);
  EXPECT_EQ(code_of(open()), Code::sector_size) << message_of(open());
  const auto disk = open({.size = kDisk, .sector_size = 4096});
  ASSERT_TRUE(disk) << disk.error().message;
  EXPECT_EQ(disk->alignment, 4096U);
}

TEST_F(DeviceGuard, ForeignContentIsRefusedUnlessNamed) {
  put_gpt();
  ATTACH();
  EXPECT_EQ(code_of(open()), Code::foreign_content);
  EXPECT_NE(message_of(open()).find("--overwrite abababab-abab"), std::string::npos) << message_of(open());
  EXPECT_EQ(verdict().code, Code::foreign_content);
  EXPECT_EQ(code_of(open({.size = kDisk, .overwrite = "/dev/null"})), Code::foreign_content);
  const std::string guid = described().guid;
  EXPECT_EQ(guid.substr(0, 9), "abababab-");
  for (const std::string& name : {guid, device_->path(), "dev:" + device_->path()})
    EXPECT_TRUE(open({.size = kDisk, .overwrite = name})) << name;
  Bytes wanted(kDisk.bytes);
  write_gpt(wanted, kDisk, 512, {std::byte{0xab}, {{{1 << 20}, 4_MiB}}});
  EXPECT_TRUE(content_of(file()) == wanted);  // opening wrote nothing
}

TEST_F(DeviceGuard, AnotherDiskUnderTheSameNameIsNoticed) {
  ATTACH();
  const std::vector<Disk> real = *list_disks();
  const auto at = std::ranges::find(real, device_->path(), &Disk::path) - real.begin();
  ASSERT_LT(at, std::ssize(real));
  const auto seen_with = [&](const std::function<void(Disk&)>& change) {
    std::vector<Disk> disks = real;
    change(disks[at]);
    return code_of(open_guarded(named("dev:" + device_->path()), {.size = kDisk}, disks));
  };
  EXPECT_EQ(seen_with([](Disk& disk) { disk.size = disk.size + 512_B; }), Code::identity_changed);
  EXPECT_EQ(seen_with([](Disk& disk) { disk.serial = "another"; }), Code::identity_changed);
  EXPECT_EQ(seen_with([](Disk& disk) { disk.wwn = "another"; }), Code::identity_changed);
}

TEST_F(DeviceGuard, WhatChangesBetweenPlanAndWriteIsNoticed) {
  ATTACH();
  const std::vector<Disk> planned = *list_disks();
  const auto open_planned = [&] { return open_guarded(named("dev:" + device_->path()), {.size = 4_MiB}, planned); };
  fs::resize_file(file(), (8_MiB).bytes);
  ASSERT_EQ(run("losetup --set-capacity " + device_->path()).code, 0);
  EXPECT_EQ(code_of(open_planned()), Code::identity_changed) << message_of(open_planned());
  fs::resize_file(file(), kDisk.bytes);
  ASSERT_EQ(run("losetup --set-capacity " + device_->path()).code, 0);
  EXPECT_TRUE(open_planned());
  // Another medium of the same size under the same name.
  const fs::path other = folder_.path() / "other";
  put(other, {});
  fs::resize_file(other, kDisk.bytes);
  ASSERT_EQ(run(fmt::format("losetup --detach {0} && losetup {0} {1}", device_->path(), other.string())).code, 0);
  EXPECT_EQ(code_of(open_planned()), Code::identity_changed) << message_of(open_planned());
}

TEST_F(DeviceGuard, WhatThisSiteDeployedIsItsOwn) {
  put_gpt();
  ATTACH();
  const std::string guid = described().guid;
  EXPECT_TRUE(open({.size = kDisk, .deployed = guid}));
  EXPECT_EQ(code_of(open({.size = kDisk, .deployed = "another"})), Code::foreign_content);
  EXPECT_EQ(code_of(open({.size = kDisk, .overwrite = "another", .deployed = ""})), Code::foreign_content);
}

TEST_F(DeviceGuard, AnInterruptedDeploymentIsOurs) {
  put_gpt();
  ATTACH();
  InProgress record = sample_record(kDisk);
  {
    auto disk = open({.size = kDisk, .overwrite = device_->path()});
    ASSERT_TRUE(disk);
    auto target = Target::open(std::move(*disk), kDisk);
    ASSERT_TRUE(target) << target.error().message;
    ASSERT_TRUE((*target)->begin(record));
  }
  const auto disk = open();
  ASSERT_TRUE(disk) << disk.error().message;
  EXPECT_EQ(disk->interrupted, record);
}

// --- files ---

class FileGuard : public ::testing::Test {
 protected:
  fs::path path() const { return folder_.path() / "disk"; }
  static Result<GuardedDisk> open(const fs::path& path, Needs needs = {.size = 4_MiB}) {
    return open_guarded(named("file:" + path.string()), needs, {});
  }
  const Scratch folder_;
};

TEST_F(FileGuard, MissingIsMadeAndNamedOnceItIsMarked) {
  auto disk = open(path(), {.size = 4_MiB, .sector_size = 4096});
  ASSERT_TRUE(disk) << disk.error().message;
  EXPECT_TRUE(disk->is_file);
  EXPECT_TRUE(disk->created);
  EXPECT_EQ(disk->identity.size, 4_MiB);
  EXPECT_EQ(disk->identity.sector_size, 4096U);
  EXPECT_EQ(disk->file.size(), 4_MiB);
  EXPECT_FALSE(fs::exists(path()));
  const auto target = Target::open(*std::move(disk), 4_MiB);
  ASSERT_TRUE(target);
  ASSERT_TRUE((*target)->begin(sample_record(4_MiB)));
  EXPECT_EQ(fs::file_size(path()), (4_MiB).bytes);
  EXPECT_EQ(code_of(open(path())), Code::in_use);
}

TEST_F(FileGuard, BlankMayBeWritten) {
  put(path(), Bytes((5_MiB).bytes));
  EXPECT_EQ(code_of(open(path(), {.size = 4_MiB, .file_size = 6_MiB})), Code::usage);
  const auto disk = open(path(), {.size = 4_MiB, .file_size = 5_MiB});
  ASSERT_TRUE(disk) << disk.error().message;
  EXPECT_FALSE(disk->created);
  EXPECT_EQ(disk->identity.size, 5_MiB);
}

TEST_F(FileGuard, ForeignIsRefusedUnlessNamed) {
  Bytes bytes((4_MiB).bytes);
  bytes[5] = std::byte{1};
  put(path(), bytes);
  EXPECT_EQ(code_of(open(path())), Code::foreign_content) << message_of(open(path()));
  EXPECT_TRUE(open(path(), {.size = 4_MiB, .overwrite = path()}));
  EXPECT_TRUE(open(path(), {.size = 4_MiB, .overwrite = "file:" + path().string()}));
  EXPECT_TRUE(content_of(path()) == bytes);
}

TEST_F(FileGuard, InterruptedIsOurs) {
  Bytes bytes((4_MiB).bytes);
  std::ranges::copy(encode(sample_record(4_MiB)), bytes.begin() + 4096);
  put(path(), bytes);
  const auto disk = open(path());
  ASSERT_TRUE(disk) << disk.error().message;
  EXPECT_EQ(disk->interrupted, sample_record(4_MiB));
}

TEST_F(FileGuard, LockedIsInUse) {
  put(path(), Bytes((4_MiB).bytes));
  const auto first = open(path());
  ASSERT_TRUE(first);
  EXPECT_EQ(code_of(open(path())), Code::in_use);
}

TEST_F(FileGuard, AttachedToALoopDeviceIsInUse) {
  const auto device = LoopDevice::make(path(), 4_MiB);
  NEED_LOOP(device);
  EXPECT_EQ(code_of(open(path())), Code::in_use) << message_of(open(path()));
}

TEST_F(FileGuard, TooSmallIsRefused) {
  put(path(), Bytes(1000));
  EXPECT_EQ(code_of(open(path())), Code::too_small);
  EXPECT_EQ(fs::file_size(path()), 1000U);
  put(folder_.path() / "empty", {});
  EXPECT_EQ(code_of(open(folder_.path() / "empty")), Code::too_small);
}

TEST_F(FileGuard, WhatIsNoFileIsAUsageError) {
  EXPECT_EQ(code_of(open(folder_.path())), Code::usage);
  EXPECT_EQ(code_of(open("/dev/null")), Code::usage);
  EXPECT_EQ(code_of(open(folder_.path() / "no-such-folder" / "disk")), Code::usage);
  ASSERT_EQ(run("mkfifo " + path().string()).code, 0);
  EXPECT_EQ(code_of(open(path())), Code::usage);
}

TEST_F(FileGuard, EachIsAnotherOne) {
  const auto distinct = [&](const std::string& a, const std::string& b) {
    return check_distinct({named("file:" + a), named("file:" + b)}, {});
  };
  fs::create_symlink(folder_.path(), folder_.path() / "link");
  EXPECT_TRUE(distinct(path(), path().string() + "2"));
  EXPECT_EQ(distinct(path(), path()).error().code, Code::usage);
  EXPECT_FALSE(distinct(path(), folder_.path() / "link" / "disk"));
  EXPECT_EQ(check_distinct({named("dev:/dev/none")}, {}).error().code, Code::no_match);
}

TEST_F(FileGuard, AFileThatCannotBeMadeIsNotLeft) {
  EXPECT_FALSE(open(path(), {.size = {~0ULL >> 1}}));
  EXPECT_FALSE(fs::exists(path()));
}

}  // namespace
}  // namespace stampede::disk

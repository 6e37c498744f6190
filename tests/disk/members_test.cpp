#include "src/disk/members.h"

#include <fcntl.h>
#include <gmock/gmock.h>

#include <algorithm>

#include "src/disk/lvm_label.h"
#include "src/disk/rules.h"
#include "src/disk/same_medium.h"
#include "tests/disk/machine.h"
#include "tests/disk/signatures.h"
#include "tests/disk/table_model.h"

namespace stampede::disk {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr Size kDisk = 68_MiB;
constexpr Offset kPartition{std::uint64_t{1} << 20};
constexpr Size kPartitionSize = 65_MiB;
const std::string kGroup(32, 'g');

class Members : public ::testing::Test {
 protected:
  // What the guard says of a disk of these bytes; "" for nothing.
  std::string said(ByteView bytes) {
    const auto path = machine_.paths().dev / "sda";
    put(path, bytes);
    const auto file = File::open(path, O_RDONLY);
    const auto look = look_at(file->fd(), kDisk);
    EXPECT_TRUE(look) << look.error().message;
    content_ = look->description;
    const auto apart = check_members({.path = "/dev/sda"}, file->fd(), *look, machine_.paths());
    EXPECT_TRUE(apart || apart.error().code == Code::in_use);
    return apart ? "" : apart.error().message;
  }
  static Bytes in_partition(const std::function<void(MutableBytes)>& write) {
    Bytes bytes(kDisk.bytes);
    write_gpt(bytes, kDisk, 512, {std::byte{0xab}, {{kPartition, kPartitionSize}}});
    write(MutableBytes(bytes).subspan(kPartition.bytes, kPartitionSize.bytes));
    return bytes;
  }
  Machine machine_;
  std::string content_;
};

TEST_F(Members, ThePoolOfAZfsMemberMayBeImported) {
  Bytes whole(kDisk.bytes);
  write_zfs(whole, "tank");
  const Bytes part = in_partition([](MutableBytes bytes) { write_zfs(bytes, "tank"); });
  EXPECT_EQ(said(whole), "");
  EXPECT_EQ(content_, "part of a ZFS pool 'tank'");
  EXPECT_EQ(said(part), "");
  EXPECT_EQ(content_, "gpt partition table, 1 partition: zfs_member 'tank'");
  Machine::text(machine_.paths().proc / "spl/kstat/zfs/other/state", "ONLINE");
  EXPECT_EQ(said(whole), "");
  Machine::text(machine_.paths().proc / "spl/kstat/zfs/tank/state", "ONLINE");
  EXPECT_THAT(said(whole), HasSubstr("/dev/sda belongs to the ZFS pool tank, which is imported"));
  EXPECT_THAT(said(part), HasSubstr("partition 1 of /dev/sda belongs to the ZFS pool tank"));
}

// Whatever it is called, and whatever others are called.
TEST_F(Members, AnImportedPoolIsKnownByItsGuid) {
  Bytes disk(kDisk.bytes);
  write_zfs(disk, "tank", 12345678901234567890U);
  const auto pools = machine_.paths().proc / "spl/kstat/zfs";
  Machine::text(pools / "tank/guid", "42");
  EXPECT_EQ(said(disk), "");
  Machine::text(pools / "fish/guid", "12345678901234567890\n");
  EXPECT_THAT(said(disk), HasSubstr("belongs to the ZFS pool fish, which is imported"));
}

TEST_F(Members, TheGroupOfAPhysicalVolumeMayBeActive) {
  Bytes whole(kDisk.bytes);
  write_lvm(whole, "vg0", kGroup);
  const Bytes part = in_partition([](MutableBytes bytes) { write_lvm(bytes, "vg0", kGroup); });
  EXPECT_EQ(said(whole), "");
  EXPECT_THAT(content_, HasSubstr("LVM2_member"));
  EXPECT_EQ(said(part), "");
  Machine::text(machine_.disk("dm-0", "252:0", 2048) / "dm/uuid", "LVM-" + std::string(32, 'h') + std::string(32, 'x'));
  EXPECT_EQ(said(whole), "");
  // Its volumes may lie on other disks: this one has no holder.
  Machine::text(machine_.disk("dm-1", "252:1", 2048) / "dm/uuid", "LVM-" + kGroup + std::string(32, 'x'));
  EXPECT_THAT(said(whole), HasSubstr("belongs to the LVM volume group vg0, which has active volumes"));
  EXPECT_THAT(said(part), HasSubstr("partition 1 of /dev/sda"));
}

TEST_F(Members, ADamagedPhysicalVolumeHasNoGroup) {
  Bytes volume((1_MiB).bytes);
  write_lvm(volume, "vg0", kGroup);
  const auto group_of = [](const Bytes& bytes) {
    return find_volume_group([&](Offset at, MutableBytes out) {
      if (at.bytes + out.size() > bytes.size()) return false;
      std::ranges::copy(ByteView(bytes).subspan(at.bytes, out.size()), out.begin());
      return true;
    });
  };
  ASSERT_TRUE(group_of(volume));
  EXPECT_EQ(group_of(volume)->name, "vg0");
  EXPECT_EQ(group_of(volume)->id, kGroup);
  for (const std::size_t at : {512U, 512U + 20U, 512U + 24U, 512U + 107U, 4096U + 4U, 4096U + 41U, 5120U + 20U}) {
    Bytes damaged = volume;
    damaged[at] = std::byte{0xff};
    EXPECT_TRUE(!group_of(damaged) || group_of(damaged)->id != kGroup) << at;
  }
  EXPECT_FALSE(group_of(Bytes(100)));
}

TEST_F(Members, BtrfsOfSeveralDevicesAndBcacheHold) {
  machine_.disk("sda", "8:0", 8192);
  machine_.disk("sdb", "8:16", 8192);
  machine_.partition("sdb", "sdb1", "8:17");
  Machine::text(machine_.disk("sdc", "8:32", 8192) / "bcache/state", "1");
  machine_.mount("0:44", "/dev/sda", "/srv");
  for (const std::string name : {"sda", "sdb1"}) Machine::text(machine_.paths().sys / "fs/btrfs/UUID/devices" / name, "");
  Machine::text(machine_.paths().sys / "fs/btrfs/features/x", "");
  const auto disks = list_disks(machine_.paths());
  ASSERT_EQ(disks->size(), 3U);
  EXPECT_EQ(check_unused(disks->at(0)).error().code, Code::mounted);
  EXPECT_THAT(disks->at(1).holders, ElementsAre("btrfs UUID"));
  EXPECT_EQ(check_unused(disks->at(1)).error().code, Code::in_use);
  EXPECT_THAT(disks->at(2).holders, ElementsAre("bcache"));
}

// The disk that the machine runs from carries volumes that it does not run from.
TEST_F(Members, LogicalVolumesZvolsAndRbdDevicesAreTargets) {
  machine_.disk("sda", "8:0", 65536);
  machine_.partition("sda", "sda1", "8:1");
  const auto volumes = machine_.partition("sda", "sda2", "8:2");
  machine_.mount("8:1", "/dev/sda1", "/boot");
  machine_.mount("252:0", "/dev/mapper/vg0-root", "/");
  for (const std::string name : {"dm-0", "dm-1"}) {
    const auto folder = machine_.disk(name, "252:" + name.substr(3), 8192);
    Machine::text(folder / "dm/name", name == "dm-0" ? "vg0-root" : "vg0-vm1");
    Machine::text(folder / "dm/uuid", "LVM-" + kGroup + std::string(32, name.back()));
    machine_.holds(volumes, name);
  }
  machine_.disk("zd0", "230:0", 8192);
  machine_.disk("rbd0", "251:0", 8192);
  machine_.link("vg0/vm1", "dm-1");
  machine_.link("zvol/tank/vm1", "zd0");
  machine_.link("rbd/pool/vm1", "rbd0");
  const auto disks = *list_disks(machine_.paths());
  const auto code_of = [&](const std::string& device) {
    const auto disk = select(*Selector::parse("dev:" + device), disks, machine_.paths());
    if (!disk) return disk.error().code;
    if (const auto unused = check_unused(*disk); !unused) return unused.error().code;
    const auto one = check_one_name(*disk, disks, machine_.paths());
    return one ? Code::internal : one.error().code;
  };
  for (const char* const good : {"/dev/vg0/vm1", "/dev/dm-1", "/dev/zvol/tank/vm1", "/dev/rbd/pool/vm1"})
    EXPECT_EQ(code_of(good), Code::internal) << good;
  EXPECT_EQ(code_of("/dev/dm-0"), Code::mounted);
  EXPECT_EQ(code_of("/dev/sda"), Code::mounted);
  EXPECT_EQ(code_of("/dev/sda2"), Code::no_match);
  EXPECT_TRUE(select(*Selector::parse("model:vg0-vm1"), disks, machine_.paths()));
}

// Locks of another open file description, as QEMU takes them: shared, on single bytes.
TEST_F(Members, ALockedFileIsInUse) {
  const auto path = machine_.paths().dev / "disk";
  put(path, Bytes(4096));
  const auto ours = File::open(path, O_RDWR);
  const auto theirs = File::open(path, O_RDWR);
  EXPECT_TRUE(check_unlocked(ours->fd(), path));
  struct flock lock{};
  lock.l_type = F_RDLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = 201;
  lock.l_len = 1;
  ASSERT_EQ(::fcntl(theirs->fd(), F_OFD_SETLK, &lock), 0);
  EXPECT_TRUE(check_unlocked(theirs->fd(), path));
  ASSERT_FALSE(check_unlocked(ours->fd(), path));
  EXPECT_EQ(check_unlocked(ours->fd(), path).error().code, Code::in_use);
}

}  // namespace
}  // namespace stampede::disk

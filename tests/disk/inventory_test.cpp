#include "src/disk/inventory.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "src/disk/in_progress.h"
#include "src/disk/same_medium.h"
#include "src/disk/sysfs.h"
#include "tests/disk/machine.h"
#include "tests/disk/sample_image.h"
#include "tests/disk/scratch.h"

namespace stampede::disk {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Inventory, SaysWhatTheKernelSays) {
  Machine machine;
  const fs::path sda = machine.disk("sda", "8:0", 8192);
  Machine::text(sda / "device/model", "SuperDisk 3000   \n");
  Machine::text(sda / "device/wwid", "naa.5000c500deadbeef\n");
  Machine::text(sda / "device/vpd_pg80", std::string_view("\0\x80\0\x0a  SER 42  ", 14));
  Machine::text(sda / "queue/logical_block_size", "4096\n");
  Machine::text(sda / "removable", "1\n");
  Machine::text(sda / "ro", "1\n");
  const Disk disk = machine.only();
  EXPECT_EQ(disk.path, machine.paths().dev / "sda");
  EXPECT_EQ(disk.model, "SuperDisk 3000");
  EXPECT_EQ(disk.serial, "SER 42");
  EXPECT_EQ(disk.wwn, "naa.5000c500deadbeef");
  EXPECT_EQ(disk.size, 4_MiB);
  EXPECT_EQ(disk.sector_size, 4096U);
  EXPECT_TRUE(disk.removable);
  EXPECT_TRUE(disk.read_only);
  EXPECT_EQ(disk.content, "blank");
  EXPECT_FALSE(disk.own);
}

TEST(Inventory, SerialOfNvmeAndVirtio) {
  Machine machine;
  Machine::text(machine.disk("nvme0n1", "259:0", 2048) / "device/serial", "NV1 \n");
  Machine::text(machine.paths().sys / "block/nvme0n1/wwid", "eui.0025\n");
  Machine::text(machine.disk("vda", "254:0", 2048) / "serial", "virt1");
  const auto disks = list_disks(machine.paths());
  ASSERT_EQ(disks->size(), 2U);
  EXPECT_EQ(disks->at(0).serial, "NV1");
  EXPECT_EQ(disks->at(0).wwn, "eui.0025");
  EXPECT_EQ(disks->at(1).serial, "virt1");
}

TEST(Inventory, RemovableByFlagBusOrCard) {
  Machine machine;
  const auto block = machine.paths().sys / "block";
  const fs::path usb = machine.paths().sys / "devices/pci0000:00/usb2/2-1/2-1:1.0/host6/block";
  machine.disk("sda", "8:0", 2048);
  machine.disk("sdb", "8:16", 2048);
  fs::create_directories(usb);
  fs::rename(block / "sdb", usb / "sdb");
  fs::create_symlink(usb / "sdb", block / "sdb");
  Machine::text(machine.disk("mmcblk0", "179:0", 2048) / "device/type", "MMC\n");
  Machine::text(machine.disk("mmcblk1", "179:8", 2048) / "device/type", "SD\n");
  Machine::text(machine.disk("sdc", "8:32", 2048) / "removable", "1\n");
  std::vector<std::string> names;
  for (const Disk& disk : *list_disks(machine.paths()))
    if (disk.removable) names.push_back(fs::path(disk.path).filename());
  EXPECT_THAT(names, ElementsAre("mmcblk1", "sdb", "sdc"));
}

TEST(Inventory, SaysWhereADiskIsPluggedIn) {
  Machine machine;
  machine.disk("sda", "8:0", 2048);
  machine.partition("sda", "sda1", "8:1");
  machine.link("disk/by-path/pci-2", "sda");
  machine.link("disk/by-path/pci-1", "sda");
  machine.link("disk/by-path/pci-0-part1", "sda1");
  EXPECT_EQ(machine.only().by_path, "pci-1");
}

TEST(Inventory, LeavesOutWhatIsNoDisk) {
  Machine machine;
  machine.disk("sdb", "8:16", 2048);
  machine.disk("sda", "8:0", 2048);
  machine.partition("sda", "sda1", "8:1");
  machine.disk("ram0", "1:0", 2048);
  machine.disk("zram0", "253:0", 2048);
  machine.disk("loop0", "7:0", 2048);
  Machine::text(machine.disk("loop1", "7:1", 2048) / "loop/backing_file", "/srv/image\n");
  machine.disk("sdc", "8:32", 0);
  Machine::text(machine.disk("nvme0c0n1", "259:3", 2048) / "hidden", "1\n");
  std::vector<std::string> names;
  for (const Disk& disk : *list_disks(machine.paths())) names.push_back(fs::path(disk.path).filename());
  EXPECT_THAT(names, ElementsAre("loop1", "sda", "sdb"));
}

TEST(Inventory, NoSysfsIsAnError) {
  const Scratch folder;
  EXPECT_FALSE(list_disks({folder.path(), folder.path(), folder.path()}));
}

TEST(Inventory, MountsAndSwapsOfThePartitionsCount) {
  Machine machine;
  machine.disk("sda", "8:0", 8192);
  machine.partition("sda", "sda1", "8:1");
  machine.partition("sda", "sda2", "8:2");
  machine.partition("sda", "sda3", "8:3");
  machine.mount("8:1", "/dev/root", "/srv/with\\040blank");
  machine.mount("0:44", "/dev/sda2", "/btrfs");
  machine.mount("0:45", "tmpfs", "/tmp");
  machine.swap("/dev/sda3");
  machine.swap("/swapfile");
  const Disk disk = machine.only();
  EXPECT_THAT(disk.mounts, ElementsAre("/dev/sda1 on /srv/with blank", "/dev/sda2 on /btrfs"));
  EXPECT_THAT(disk.swaps, ElementsAre("/dev/sda3"));
  EXPECT_FALSE(disk.own);
}

TEST(Inventory, MountsByALinkCount) {
  Machine machine;
  machine.disk("sda", "8:0", 8192);
  machine.link("disk/by-label/data", "sda");
  machine.mount("0:44", "/dev/disk/by-label/data", "/srv");
  EXPECT_THAT(machine.only().mounts, ElementsAre("/dev/sda on /srv"));
}

TEST(Inventory, OtherDisksUsesDoNotCount) {
  Machine machine;
  machine.disk("sda", "8:0", 8192);
  machine.disk("sdb", "8:16", 8192);
  machine.partition("sdb", "sdb1", "8:17");
  machine.mount("8:17", "/dev/sdb1", "/");
  const auto disks = list_disks(machine.paths());
  EXPECT_THAT(disks->at(0).mounts, IsEmpty());
  EXPECT_FALSE(disks->at(0).own);
  EXPECT_TRUE(disks->at(1).own);
}

TEST(Inventory, OwnDiskIsFoundThroughItsHolders) {
  Machine machine;
  machine.disk("sda", "8:0", 8192);
  machine.holds(machine.partition("sda", "sda2", "8:2"), "md0");
  machine.holds(machine.disk("md0", "9:0", 4096), "dm-0");
  machine.disk("dm-0", "252:0", 4096);
  machine.mount("252:0", "/dev/mapper/root", "/");
  const auto disks = list_disks(machine.paths());
  const Disk& sda = disks->at(2);
  ASSERT_EQ(fs::path(sda.path).filename(), "sda");
  EXPECT_THAT(sda.mounts, IsEmpty());
  EXPECT_THAT(sda.holders, ElementsAre("md0"));
  EXPECT_TRUE(sda.own);
}

TEST(Inventory, OwnDiskIsFoundInTheFirstProcessesMounts) {
  Machine machine;
  machine.disk("sda", "8:0", 8192);
  machine.partition("sda", "sda1", "8:1");
  machine.mount("8:1", "/dev/sda1", "/", "1");
  const Disk disk = machine.only();
  EXPECT_TRUE(disk.own);
  EXPECT_THAT(disk.mounts, IsEmpty());
}

TEST(Inventory, ContentIsLookedAt) {
  Machine machine;
  machine.disk("sda", "8:0", 8192);
  Bytes head(8192);
  std::ranges::copy(encode(sample_record(4_MiB)), head.begin() + 4096);
  put(machine.paths().dev / "sda", head);
  EXPECT_EQ(machine.only().content, "an interrupted deployment of 111111111111, begun 2023-11-14T22:13:20Z");
  // A copy on a disk of another size is not that disk.
  std::ranges::copy(encode(sample_record(5_MiB)), head.begin() + 4096);
  put(machine.paths().dev / "sda", head);
  EXPECT_EQ(machine.only().content, "unknown data");
}

TEST(Inventory, WhatADeviceSaysOfItselfIsMadePrintable) {
  Machine machine;
  const fs::path folder = machine.disk("sda", "8:0", 8192);
  Machine::text(folder / "device/model", "Disk\033[31m \xff\n");
  Machine::text(folder / "device/serial", "S\a1\n");
  EXPECT_EQ(machine.only().model, "Disk?[31m ?");
  EXPECT_EQ(machine.only().serial, "S?1");
}

class OneName : public ::testing::Test {
 protected:
  Code code_of(const std::string& path) {
    const auto disks = list_disks(machine_.paths());
    const auto disk = std::ranges::find(*disks, (machine_.paths().dev / path).string(), &Disk::path);
    const auto result = check_one_name(*disk, *disks, machine_.paths());
    return result ? Code::internal : result.error().code;
  }
  Machine machine_;
};

TEST_F(OneName, TwoPathsToOneDiskAreRefused) {
  for (const std::string name : {"sda", "sdb", "sdc", "sdd"}) {
    const fs::path folder = machine_.disk(name, "8:" + name, 8192);
    Machine::text(folder / "device/model", "Disk");
    Machine::text(folder / "device/serial", name == "sdd" ? "S2" : "S1");
    if (name != "sdc") Machine::text(folder / "device/wwid", name == "sda" ? "naa.5000" : "0x5001");
  }
  EXPECT_EQ(code_of("sda"), Code::several_match);  // with sdc, which tells no WWN
  EXPECT_EQ(code_of("sdb"), Code::several_match);
  EXPECT_EQ(code_of("sdd"), Code::several_match);
  Machine::text(machine_.paths().sys / "block/sdc/device/wwid", "naa.5003");
  EXPECT_EQ(code_of("sda"), Code::internal);  // one serial for several LUNs
  EXPECT_EQ(code_of("sdd"), Code::several_match);
}

TEST_F(OneName, LoopDevicesUponOneMediumAreRefused) {
  const auto loop = [&](const std::string& name, const std::string& backing) {
    Machine::text(machine_.disk(name, "7:" + name, 8192) / "loop/backing_file", backing + "\n");
  };
  machine_.disk("sda", "8:0", 8192);
  machine_.partition("sda", "sda1", "8:1");
  loop("loop0", "/images/a");
  loop("loop1", "/images/b");
  EXPECT_EQ(code_of("sda"), Code::internal);
  EXPECT_EQ(code_of("loop0"), Code::internal);
  loop("loop2", "/images/a");
  EXPECT_EQ(code_of("loop0"), Code::in_use);
  EXPECT_EQ(code_of("loop1"), Code::internal);
  loop("loop3", "/dev/sda1");
  EXPECT_EQ(code_of("sda"), Code::in_use);
  EXPECT_EQ(code_of("loop3"), Code::internal);
  machine_.mount("8:1", "/dev/sda1", "/srv");
  EXPECT_EQ(code_of("loop3"), Code::in_use);
}

TEST(Inventory, DescribesAPartitionByAnyName) {
  Machine machine;
  Machine::text(machine.disk("sda", "8:0", 8192) / "device/serial", "S1");
  machine.partition("sda", "sda1", "8:1");
  machine.partition("sda", "sda2", "8:2");
  machine.mount("8:2", "/dev/sda2", "/srv");
  machine.link("disk/by-id/x-part1", "sda1");
  const auto disk = describe("/dev/disk/by-id/x-part1", machine.paths());
  ASSERT_TRUE(disk) << disk.error().message;
  EXPECT_EQ(disk->path, machine.paths().dev / "sda1");
  EXPECT_EQ(disk->size, 1_MiB);
  EXPECT_EQ(disk->serial, "S1");
  EXPECT_THAT(disk->mounts, IsEmpty());
  for (const char* const other : {"/dev/sdz", "/etc/passwd", "sda", "", "/dev/../etc/passwd"})
    EXPECT_EQ(describe(other, machine.paths()).error().code, Code::no_match) << other;
}

TEST(Inventory, ThisMachineCanBeListed) {
  const auto disks = list_disks();
  if (!disks) GTEST_SKIP() << disks.error().message;
  for (const Disk& disk : *disks) EXPECT_GT(disk.size, 0_B) << disk.path;
}

}  // namespace
}  // namespace stampede::disk

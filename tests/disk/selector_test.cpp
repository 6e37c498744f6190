#include "src/disk/selector.h"

#include <gmock/gmock.h>

#include "tests/disk/machine.h"

namespace stampede::disk {
namespace {

using ::testing::HasSubstr;

Selector named(const std::string& text) {
  const auto selector = Selector::parse(text);
  EXPECT_TRUE(selector) << text;
  return selector.value_or(Selector{});
}
bool matches(const std::string& text, const Disk& disk) { return named(text).matches(disk); }

TEST(Selector, SaysItselfAgain) {
  for (const char* const text : {"serial:AB 12",
                                 "wwn:naa.5000",
                                 "eui:0025",
                                 "by-path:pci-0000:00:1f.2-ata-1",
                                 "model:Samsung SSD*",
                                 "dev:/dev/sda",
                                 "dev:/dev/disk/by-path/x",
                                 "size<1T",
                                 "size<=1.5Ti",
                                 "size=512",
                                 "size>=500G",
                                 "size>1Pi",
                                 "removable",
                                 "not removable",
                                 "not serial:A",
                                 "serial:a\\,b\\\\c,removable",
                                 "file:/tmp/x",
                                 "file:/tmp/a, b\\,c",
                                 "model:*,size<1T,not removable",
                                 "serial:not x"}) {
    const auto selector = Selector::parse(text);
    ASSERT_TRUE(selector) << text;
    EXPECT_EQ(selector->text(), text);
  }
  EXPECT_EQ(named("  size < 1T , not   removable ").text(), "size<1T,not removable");
  EXPECT_EQ(named("by-path:/dev/disk/by-path/pci-1").text(), "by-path:pci-1");
}

TEST(Selector, WhatIsNoneIsRefused) {
  for (const char* const text : {"",
                                 "sda",
                                 "/dev/sda",
                                 "dev:sda",
                                 "dev:/dev/",
                                 "dev:/etc/passwd",
                                 "file:relative",
                                 "file:/",
                                 "serial:",
                                 "wwn:",
                                 "serial:a\nb",
                                 "SERIAL:x",
                                 "size",
                                 "size<",
                                 "size<0",
                                 "size<-1",
                                 "size<1X",
                                 "size<1TB",
                                 "size<1Tii",
                                 "size==1",
                                 "size<>1",
                                 "size=inf",
                                 "size<1e3",
                                 "size=99999P",
                                 "not",
                                 "not file:/a",
                                 "not not removable",
                                 "removable,",
                                 ",removable",
                                 "a,,b",
                                 "serial:a,",
                                 "serial:a,file:/b",
                                 "by-path:a/b",
                                 "by-path:..",
                                 "by-path:"}) {
    const auto selector = Selector::parse(text);
    ASSERT_FALSE(selector) << text;
    EXPECT_EQ(selector.error().code, Code::usage);
  }
}

TEST(Selector, MatchesWhatADiskSaysOfItself) {
  const Disk disk{
      .path = "/dev/no-such", .model = "Samsung SSD 870", .serial = "S1,2", .wwn = "eui.00253", .removable = true};
  for (const char* const text : {"serial:S1\\,2", "wwn:eui.00253", "wwn:0x00253", "eui:00253", "eui:eui.00253",
                                 "eui:0x00253", "model:samsung ssd 870", "model:SAMSUNG*", "model:*870", "model:*s*d*",
                                 "model:*", "removable", "not serial:S", "not size>1", "model:*,removable,not serial:S"})
    EXPECT_TRUE(matches(text, disk)) << text;
  for (const char* const text : {"serial:s1\\,2", "wwn:0025", "eui:naa.5", "model:Samsung", "model:870", "model:*871",
                                 "not removable", "not serial:S1\\,2", "model:*,removable,serial:S"})
    EXPECT_FALSE(matches(text, disk)) << text;
  EXPECT_FALSE(matches("eui:5000", Disk{.wwn = "naa.5000"}));
}

TEST(Selector, WhatADiskDoesNotSayIsNoMatch) {
  const Disk nameless{.path = "/dev/no-such"};
  for (const char* const text : {"serial:S", "wwn:0x1", "eui:1", "model:*", "removable", "by-path:x", "dev:/dev/null"})
    EXPECT_FALSE(matches(text, nameless)) << text;
  EXPECT_TRUE(matches("not model:*", nameless));
  EXPECT_FALSE(Selector().matches(nameless));
}

TEST(Selector, SizesAsDisksAreSold) {
  const Disk sold{.size = {1'000'204'886'016}};
  for (const char* const text : {"size=1T", "size<=1T", "size>=1T", "size=1000G", "size<2T", "size>500G", "size>900Gi",
                                 "size=1000204886016", "size<1Ti", "size<=1000204886016"})
    EXPECT_TRUE(matches(text, sold)) << text;
  for (const char* const text : {"size<1T", "size>1T", "size=1Ti", "size=1000204886017", "size<1000204886016",
                                 "size>1000204886016", "size=2T", "size=500G"})
    EXPECT_FALSE(matches(text, sold)) << text;
  // Of below, equal and above exactly one holds.
  for (std::uint64_t bytes = 900; bytes < 1100; ++bytes) {
    const Disk disk{.size = {bytes}};
    EXPECT_EQ(matches("size<1K", disk) + matches("size=1K", disk) + matches("size>1K", disk), 1) << bytes;
    EXPECT_EQ(matches("size<=1K", disk), !matches("size>1K", disk)) << bytes;
    EXPECT_EQ(matches("size>=1K", disk), !matches("size<1K", disk)) << bytes;
  }
}

TEST(Selector, AWwnIsKnownInEveryWriting) {
  for (const char* const text : {"naa.5000c500ab", "0x5000C500AB", "wwn-0x5000c500ab", "5000c500ab"})
    EXPECT_TRUE(same_wwn(text, "naa.5000c500ab")) << text;
  EXPECT_TRUE(same_wwn("nvme-eui.0025", "eui.0025"));
  for (const char* const text : {"", "naa.", "0x", "naa.5000c500a", "000c500ab"})
    EXPECT_FALSE(same_wwn(text, "naa.5000c500ab")) << text;
  EXPECT_FALSE(same_wwn("", ""));
  EXPECT_FALSE(same_wwn("naa.", ""));
}

class SelectOne : public ::testing::Test {
 protected:
  SelectOne() {
    Machine::text(machine_.disk("sda", "8:0", 8192) / "device/model", "Disk");
    Machine::text(machine_.paths().sys / "block/sda/device/serial", "S1");
    Machine::text(machine_.disk("sdb", "8:16", 4096) / "device/model", "Disk");
    Machine::text(machine_.paths().sys / "block/sdb/device/wwid", "naa.5000");
    machine_.disk("sdc", "8:32", 4096);
    machine_.partition("sda", "sda1", "8:1");
    machine_.link("disk/by-path/pci-1", "sdb");
    machine_.link("disk/by-path/pci-0-part1", "sda1");
  }
  Result<Disk> pick(const std::string& text) const {
    return select(named(text), *list_disks(machine_.paths()), machine_.paths());
  }
  std::string refused(const std::string& text, Code code) const {
    const auto disk = pick(text);
    EXPECT_FALSE(disk) << text;
    if (disk) return "";
    EXPECT_EQ(disk.error().code, code) << text;
    return disk.error().message;
  }
  Machine machine_;
};

TEST_F(SelectOne, ExactlyOneIsTaken) {
  const auto name = [&](const std::string& text) {
    const auto disk = pick(text);
    return disk ? std::filesystem::path(disk->path).filename().string() : disk.error().message;
  };
  EXPECT_EQ(name("serial:S1"), "sda");
  EXPECT_EQ(name("by-path:pci-1"), "sdb");
  EXPECT_EQ(name("dev:/dev/disk/by-path/pci-1"), "sdb");
  EXPECT_EQ(name("model:disk,size<3Mi"), "sdb");
  EXPECT_EQ(name("size>3Mi"), "sda");
  EXPECT_EQ(name("not model:*"), "sdc");
  EXPECT_EQ(name("not serial:S1,not wwn:0x5000"), "sdc");
}

TEST_F(SelectOne, SeveralAreNamedByWhatTellsThemApart) {
  const std::string said = refused("size<1T", Code::several_match);
  EXPECT_THAT(said, HasSubstr("matches 3 disks"));
  EXPECT_THAT(said, HasSubstr("serial:S1 ("));
  EXPECT_THAT(said, HasSubstr("wwn:naa.5000 ("));
  EXPECT_THAT(said, HasSubstr("dev:" + (machine_.paths().dev / "sdc").string() + " ("));
  // What two have in common names neither.
  Machine::text(machine_.paths().sys / "block/sdb/device/serial", "S1");
  EXPECT_THAT(refused("serial:S1", Code::several_match), HasSubstr("dev:" + (machine_.paths().dev / "sda").string()));
}

TEST_F(SelectOne, NoneNamesWhatThereIs) {
  EXPECT_THAT(refused("serial:S2", Code::no_match), HasSubstr("serial:S1 ("));
  EXPECT_THAT(refused("by-path:pci-2", Code::no_match), HasSubstr("there is"));
  EXPECT_THAT(refused("by-path:pci-0-part1", Code::no_match), HasSubstr("name the whole disk, dev:/dev/sda"));
  EXPECT_THAT(refused("dev:/dev/sda1,size<1T", Code::no_match), HasSubstr("name the whole disk, dev:/dev/sda"));
  EXPECT_THAT(refused("file:/tmp/x", Code::usage), HasSubstr("a disk is wanted"));
  EXPECT_EQ(select(named("serial:S"), {}).error().message, "no disk matches serial:S: this machine has none");
}

TEST_F(SelectOne, ManyAreNotAllNamed) {
  std::vector<Disk> disks(100, Disk{.path = "/dev/no-such"});
  EXPECT_THAT(select(named("size<1T"), disks).error().message, HasSubstr("and 92 more"));
}

}  // namespace
}  // namespace stampede::disk

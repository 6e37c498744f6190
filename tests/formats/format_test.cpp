#include "src/formats/format.h"

#include <gtest/gtest.h>

namespace stampede::formats {
namespace {

using unpack::Packing;

TEST(Format, NamesAreReadAndWritten) {
  for (const auto kind : {Kind::raw, Kind::qcow2, Kind::vmdk, Kind::vhdx, Kind::vdi, Kind::partclone})
    for (const auto packing : {Packing::none, Packing::gzip, Packing::xz, Packing::zstd}) {
      const Format format{kind, packing};
      const auto again = parse_format(name_of(format));
      if (packing != Packing::none && kind != Kind::raw && kind != Kind::partclone) {
        EXPECT_EQ(again.error().code, Code::usage) << name_of(format);
        continue;
      }
      ASSERT_TRUE(again) << name_of(format);
      EXPECT_EQ(*again, format);
      EXPECT_NE(format_names().find(name_of(format)), std::string::npos);
    }
  EXPECT_EQ(*parse_format("zst"), (Format{Kind::raw, Packing::zstd}));
  EXPECT_EQ(*parse_format("gzip"), (Format{Kind::raw, Packing::gzip}));
  for (const char* const wrong :
       {"", ".", "raw.", ".gz", "RAW", "qcow", "raw.gz.gz", "gz.raw", "qcow2.gz", "raw gz", "\x01"})
    EXPECT_EQ(parse_format(wrong).error().code, Code::usage) << wrong;
}

TEST(Format, EndingsTell) {
  const std::pair<const char*, const char*> cases[] = {{"debian.img", "raw"},
                                                       {"debian.raw", "raw"},
                                                       {"/dev/sda", "raw"},
                                                       {"a.qcow2/disk", "raw"},
                                                       {"debian", "raw"},
                                                       {"", "raw"},
                                                       {".", "raw"},
                                                       {"debian.img.zst", "raw.zst"},
                                                       {"debian.zstd", "raw.zst"},
                                                       {"a/b/debian.raw.GZ", "raw.gz"},
                                                       {"gz", "raw"},
                                                       {".gz", "raw.gz"},
                                                       {"debian.xz", "raw.xz"},
                                                       {"debian.12.qcow2", "qcow2"},
                                                       {"debian.QCOW2", "qcow2"},
                                                       {"debian.vmdk", "vmdk"},
                                                       {"debian.vhdx", "vhdx"},
                                                       {"debian.vdi", "vdi"},
                                                       {"sda1.ext4-ptcl-img.gz", "partclone.gz"},
                                                       {"sda1.ntfs-ptcl-img.zst", "partclone.zst"},
                                                       {"sda1.ext4-ptcl-img", "partclone"},
                                                       {"root.pcl", "partclone"}};
  for (const auto& [name, format] : cases) {
    const auto found = format_of(name);
    ASSERT_TRUE(found) << name;
    EXPECT_EQ(name_of(*found), format) << name;
  }
  EXPECT_EQ(format_of("debian.qcow2.gz").error().code, Code::usage);
}

ByteView begin(std::string_view text) { return as_bytes(text); }

TEST(Format, ContentContradicts) {
  using namespace std::string_view_literals;
  EXPECT_TRUE(contradicts({}, Kind::raw, "f"));
  EXPECT_TRUE(contradicts(Bytes(4096), Kind::raw, "f"));
  const auto refused = contradicts(begin("QFI\xfb\0\0\0\3"sv), Kind::raw, "f.img");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::usage);
  EXPECT_NE(refused.error().message.find("--format qcow2"), std::string::npos) << refused.error().message;
  EXPECT_NE(contradicts(begin("\x28\xb5\x2f\xfd\0"sv), Kind::raw, "f").error().message.find("--format raw.zst"),
            std::string::npos);
  for (const auto magic : {"KDMV"sv, "# Disk DescriptorFile\n"sv, "vhdxfile"sv, "partclone-image"sv, "conectix"sv, "BZh9"sv})
    EXPECT_FALSE(contradicts(begin(magic), Kind::raw, "f")) << magic;
  EXPECT_TRUE(contradicts(begin("QFI\xfb"), Kind::qcow2, "f"));
  EXPECT_EQ(contradicts(begin("QFI\xfb"), Kind::vmdk, "f").error().code, Code::usage);
  EXPECT_EQ(contradicts(begin("QFI"), Kind::qcow2, "f").error().code, Code::usage);
  EXPECT_EQ(contradicts({}, Kind::vdi, "f").error().code, Code::usage);
}

}  // namespace
}  // namespace stampede::formats

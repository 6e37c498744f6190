#include "src/formats/image_header.h"

#include <gtest/gtest.h>

#include <bit>

namespace stampede::formats {
namespace {

class Headers : public ::testing::Test {
 protected:
  Headers() : file_(8192) {
    as(0, std::uint32_t{0x514649fb});
    as(4, std::uint32_t{3});
    as(100, std::uint32_t{104});
  }
  template <class Number>
  void as(std::size_t at, Number number) {
    store_le(MutableBytes(file_).subspan(at), std::byteswap(number));
  }
  void vmdk(std::string_view descriptor) {
    file_.assign(8192, std::byte{0});
    std::ranges::copy(as_bytes("KDMV"), file_.begin());
    store_le(MutableBytes(file_).subspan(12), std::uint64_t{2048});
    store_le(MutableBytes(file_).subspan(28), std::uint64_t{1});
    store_le(MutableBytes(file_).subspan(36), std::uint64_t{4});
    std::ranges::copy(as_bytes(descriptor), file_.begin() + 512);
  }
  // What is said against it; empty: nothing.
  std::string refusal(Kind kind = Kind::qcow2) {
    const auto read = [&](Offset at, std::size_t length) -> Result<Bytes> {
      if (at.bytes >= file_.size()) return Bytes{};
      return copy(ByteView(file_).subspan(at.bytes, std::min<std::size_t>(length, file_.size() - at.bytes)));
    };
    const auto checked = check_image_header(kind, read, "file");
    if (checked) return {};
    EXPECT_EQ(checked.error().code, Code::usage);
    return checked.error().message;
  }
  bool says(const char* word, Kind kind = Kind::qcow2) { return refusal(kind).find(word) != std::string::npos; }

  Bytes file_;
};

TEST_F(Headers, AnOrdinaryOneIsRight) { EXPECT_EQ(refusal(), ""); }

TEST_F(Headers, BackingFiles) {
  as(8, std::uint64_t{512});
  EXPECT_TRUE(says("backing file"));
  as(8, std::uint64_t{0});
  as(16, std::uint32_t{5});
  EXPECT_TRUE(says("backing file"));
}

TEST_F(Headers, Features) {
  for (const std::uint64_t known : {0, 1, 8, 16}) {
    as(72, known);
    EXPECT_EQ(refusal(), "") << known;
  }
  as(72, std::uint64_t{2});
  EXPECT_TRUE(says("corrupt"));
  as(72, std::uint64_t{4});
  EXPECT_TRUE(says("another file"));
  as(72, std::uint64_t{1} << 63);
  EXPECT_TRUE(says("not known"));
}

TEST_F(Headers, VersionsAndEncryption) {
  as(32, std::uint32_t{2});
  EXPECT_TRUE(says("encrypted"));
  as(32, std::uint32_t{0});
  as(4, std::uint32_t{2});
  as(72, UINT64_MAX);  // of no meaning in version 2
  EXPECT_EQ(refusal(), "");
  as(4, std::uint32_t{4});
  EXPECT_TRUE(says("version 4"));
}

TEST_F(Headers, TooShort) {
  file_.resize(103);
  EXPECT_TRUE(says("ends within"));
  file_.resize(20);
  EXPECT_TRUE(says("ends within"));
  file_.resize(3);
  EXPECT_TRUE(says("no qcow2"));
}

constexpr std::string_view kSparse =
    "# Disk DescriptorFile\nversion=1\nparentCID=ffffffff\ncreateType=\"monolithicSparse\"\n";

TEST_F(Headers, VmdkOfOneFile) {
  vmdk(kSparse);
  EXPECT_EQ(refusal(Kind::vmdk), "");
  vmdk("createType = \"streamOptimized\"\r\nparentCID = FFFFFFFF\r\n");
  EXPECT_EQ(refusal(Kind::vmdk), "");
}

TEST_F(Headers, VmdkOfSeveral) {
  vmdk("parentCID=ffffffff\ncreateType=\"twoGbMaxExtentSparse\"\n");
  EXPECT_TRUE(says("other files", Kind::vmdk));
  vmdk("createType=\"monolithicSparse\"\nparentCID=12345678\n");
  EXPECT_TRUE(says("parent", Kind::vmdk));
  vmdk(std::string(kSparse) + "parentFileNameHint=\"/etc/passwd\"\n");
  EXPECT_TRUE(says("parent", Kind::vmdk));
  vmdk("");
  EXPECT_TRUE(says("other files", Kind::vmdk));
  vmdk(kSparse);
  store_le(MutableBytes(file_).subspan(12), std::uint64_t{0});  // only a place for a description
  EXPECT_FALSE(refusal(Kind::vmdk).empty());
  vmdk(kSparse);
  store_le(MutableBytes(file_).subspan(36), UINT64_MAX);
  EXPECT_FALSE(refusal(Kind::vmdk).empty());
  vmdk(kSparse);
  store_le(MutableBytes(file_).subspan(28), UINT64_MAX / 2);
  EXPECT_FALSE(refusal(Kind::vmdk).empty());
  file_.assign(8192, std::byte{0});
  std::ranges::copy(as_bytes("# Disk DescriptorFile\n"), file_.begin());
  EXPECT_TRUE(says("other files", Kind::vmdk));
}

}  // namespace
}  // namespace stampede::formats

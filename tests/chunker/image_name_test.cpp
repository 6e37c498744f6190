#include "chunker/image_name.h"

#include "tests/chunker/scratch.h"

namespace stampede::chunker {
namespace {

using namespace stampede::testing;
using namespace std::string_literals;

const std::string kLongest(63, 'n');
const std::string kId(64, 'e');

// What no part of a name may be.
const std::vector<std::string> kBadParts{"",
                                         ".",
                                         "..",
                                         "../etc",
                                         "a/b",
                                         "/",
                                         "a\\b",
                                         "-a",
                                         ".a",
                                         "_a",
                                         "A",
                                         "a b",
                                         " a",
                                         "a\n",
                                         "a\t",
                                         "\x1b[2Ja",
                                         "\x7f",
                                         "a\0b"s,
                                         "\0"s,
                                         "\xc3\xa4",
                                         "a\xff",
                                         "a\u202e"
                                         "b",
                                         "a%2fb",
                                         "a*",
                                         "a'b",
                                         "a\"b",
                                         "a;b",
                                         "$a",
                                         "a@b",
                                         kLongest + "n",
                                         std::string(300, 'n'),
                                         std::string(1'000'000, 'n')};

TEST(ImageName, ParsesNameAndTag) {
  EXPECT_EQ(ImageName::parse("debian:12")->text(), "debian:12");
  EXPECT_EQ(ImageName::parse("debian")->text(), "debian:latest");
  EXPECT_EQ(ImageName::parse("a.b_c-9:0.1")->name, "a.b_c-9");
  EXPECT_DONE(ImageName::parse(kLongest + ":" + kLongest));
}

TEST(ImageName, RefusesWhatIsNone) {
  for (const std::string& bad : kBadParts) {
    EXPECT_CODE(Code::usage, ImageName::parse(bad)) << bad;
    EXPECT_CODE(Code::usage, ImageName::parse(bad + ":1")) << bad;
    EXPECT_CODE(Code::usage, ImageName::parse("a:" + bad)) << bad;
    EXPECT_FALSE((ImageName{bad, "1"}.valid())) << bad;
    EXPECT_FALSE((ImageName{"a", bad}.valid())) << bad;
  }
  EXPECT_CODE(Code::usage, ImageName::parse("a:b:c"));
}

// The error goes to terminals and logs.
TEST(ImageName, SaysWhatItRefusesInPrintableWordsAndShort) {
  for (const std::string& bad : kBadParts)
    for (const std::string& text : {bad + ":1", bad + "@" + kId, "a@" + bad}) {
      const auto refused = ImageRef::parse(text);
      ASSERT_FALSE(refused) << text;
      EXPECT_LT(refused.error().message.size(), 400U);
      EXPECT_EQ(refused.error().message.find_first_of("\n\t\x1b\x7f\0"s), std::string::npos) << text;
    }
}

TEST(ImageRef, IsATagOrAnId) {
  EXPECT_EQ(ImageRef::parse("debian:12").value(), ImageRef(ImageName{"debian", "12"}));
  EXPECT_EQ(ImageRef::parse("debian")->text(), "debian:latest");
  const auto short_id = ImageRef::parse("debian@0123abcd");
  ASSERT_DONE(short_id);
  EXPECT_TRUE(short_id->exact());
  EXPECT_EQ(short_id->name, "debian");
  EXPECT_EQ(short_id->text(), "debian@0123abcd");
  const auto bare = ImageRef::parse(kId);
  ASSERT_DONE(bare);
  EXPECT_EQ(bare->name, "");
  EXPECT_EQ(bare->text(), kId);
  EXPECT_DONE(ImageRef::parse("debian@" + kId));
}

TEST(ImageRef, RefusesWhatIsNoId) {
  for (const std::string& bad : kBadParts) {
    EXPECT_CODE(Code::usage, ImageRef::parse(bad + "@" + kId)) << bad;
    EXPECT_CODE(Code::usage, ImageRef::parse("a@" + bad)) << bad;
  }
  for (const std::string bad : {"0123abc", "0123abcg", "0123ABCD", "0123abcd:1", "0123abcd@0123abcd", " 0123abcd"})
    EXPECT_CODE(Code::usage, ImageRef::parse("a@" + bad)) << bad;
  EXPECT_CODE(Code::usage, ImageRef::parse("a:1@0123abcd"));
  EXPECT_CODE(Code::usage, ImageRef::parse("a@" + kId + "0"));
  EXPECT_CODE(Code::usage, ImageRef::parse("@" + kId));
}

TEST(ImageRef, NamesWhatItAsksFor) {
  const ImageId id{id_of(1).digest};
  const std::string digits = to_string(id);
  const ImageName name{"a", "1"};
  EXPECT_TRUE(ImageRef(name).names(name, id));
  EXPECT_FALSE(ImageRef(name).names({"a", "2"}, id));
  EXPECT_TRUE(ImageRef::parse("a@" + digits.substr(0, 9))->names({"a", "2"}, id));
  EXPECT_FALSE(ImageRef::parse("b@" + digits)->names(name, id));
  EXPECT_FALSE(ImageRef::parse("a@" + digits)->names(name, {id_of(2).digest}));
  EXPECT_TRUE(ImageRef::parse(digits)->names(name, id));
}

TEST(ImageRef, CoversTheIdsThatBeginSo) {
  const ImageId id{id_of(1).digest};
  for (std::size_t digits : {8U, 9U, 63U, 64U}) {
    const auto ref = *ImageRef::parse("a@" + to_string(id).substr(0, digits));
    const auto [first, last] = ref.ids();
    EXPECT_LE(first, id);
    EXPECT_GE(last, id);
    EXPECT_TRUE(to_string(first).starts_with(ref.id));
    EXPECT_TRUE(to_string(last).starts_with(ref.id));
    EXPECT_EQ(first == last, digits == 64);
  }
}

TEST(ImageRef, IsAskedForOnTheWire) {
  for (const std::string text : {"debian:12", "debian@0123abcd"}) {
    const auto ref = *ImageRef::parse(text);
    EXPECT_EQ(ImageRef::from_wire(ref.name, ref.asked_tag()).value(), ref);
  }
  for (const std::string& text : {kId, "a@" + kId, kLongest + "@" + kId}) {
    const auto ref = *ImageRef::parse(text);
    EXPECT_LE(ref.asked_tag().size(), 63U);
    const auto asked = ImageRef::from_wire(ref.name, ref.asked_tag());
    ASSERT_DONE(asked);
    EXPECT_EQ(asked->name, ref.name);
    EXPECT_TRUE(ref.id.starts_with(asked->id));
  }
  for (const std::string& bad : kBadParts) {
    EXPECT_CODE(Code::usage, ImageRef::from_wire(bad, "1")) << bad;
    EXPECT_CODE(Code::usage, ImageRef::from_wire("a", bad)) << bad;
    EXPECT_CODE(Code::usage, ImageRef::from_wire("a", "@" + bad)) << bad;
    if (!bad.empty()) EXPECT_CODE(Code::usage, ImageRef::from_wire(bad, "@0123abcd")) << bad;
  }
  EXPECT_CODE(Code::usage, ImageRef::from_wire("", "1"));
}

}  // namespace
}  // namespace stampede::chunker

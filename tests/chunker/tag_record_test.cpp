#include "chunker/tag_record.h"

#include "tests/chunker/scratch.h"

namespace stampede::chunker {
namespace {

using namespace stampede::testing;

TagRecord full() {
  TagRecord record;
  record.name = {"debian", "12"};
  record.image = {id_of(1).digest};
  record.parent = ImageId{id_of(2).digest};
  record.created = "2026-11-02T14:03:09Z";
  record.source = "debian.img";
  record.disk_size = 4_GiB;
  record.data_size = 512_MiB;
  record.tagged = "2026-11-03T08:00:00Z";
  record.roles = {"web", "db"};
  record.labels = {{"owner", "web team"}, {"example.org/a-b_c.D", "\xc3\xa4"}};
  record.facts.table = "gpt";
  record.facts.disk_guid = "5c1a8e0c-0000-4000-8000-000000000001";
  record.facts.partitions.push_back({.number = 1,
                                     .offset = {1 << 20},
                                     .length = 4_GiB - 2_MiB,
                                     .type = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
                                     .guid = "g",
                                     .name = "root \"/\"",
                                     .flags = 1ULL << 63 | 1,
                                     .filesystem = "ext4",
                                     .label = "l",
                                     .uuid = "u"});
  record.facts.root = volume::RootFacts{.partition = 1,
                                        .offset = {1 << 20},
                                        .length = 4_GiB - 2_MiB,
                                        .filesystem = "ext4",
                                        .label = "l",
                                        .uuid = "u",
                                        .clean = true};
  record.facts.architecture = "x86_64";
  record.facts.firmware = {"bios", "uefi"};
  record.facts.cloud_init = false;
  record.facts.fixed_ids = {{"a file"}};
  record.facts.fixed_ids_by = 1;
  record.facts.lint = {{{"machine-id", "/etc/machine-id"}}};
  record.facts.os_release = {{"ID", "debian"}, {"VERSION_ID", "12"}};
  record.facts.kernels = {"6.1.0-18-amd64"};
  return record;
}

TEST(TagRecord, RoundTrips) {
  const TagRecord record = full();
  const Bytes bytes = encode(record);
  const auto decoded = decode_tag_record(bytes);
  ASSERT_DONE(decoded);
  EXPECT_EQ(decoded->name, record.name);
  EXPECT_EQ(decoded->image, record.image);
  EXPECT_EQ(decoded->parent, record.parent);
  EXPECT_EQ(decoded->disk_size, record.disk_size);
  ASSERT_EQ(decoded->facts.partitions.size(), 1U);
  EXPECT_EQ(decoded->facts.partitions[0].flags, 1ULL << 63 | 1);
  ASSERT_TRUE(decoded->facts.root);
  EXPECT_TRUE(decoded->facts.root->clean);
  EXPECT_EQ(decoded->facts.os_release, record.facts.os_release);
  EXPECT_EQ(encode(*decoded), bytes);  // which covers the rest
}

TEST(TagRecord, WhatIsNotKnownIsNull) {
  TagRecord record;
  record.name = {"a", "latest"};
  const auto decoded = decode_tag_record(encode(record));
  ASSERT_DONE(decoded);
  EXPECT_FALSE(decoded->parent);
  EXPECT_FALSE(decoded->facts.root);
  EXPECT_FALSE(decoded->facts.architecture);
  EXPECT_FALSE(decoded->facts.cloud_init);
  EXPECT_FALSE(decoded->facts.fixed_ids);
  EXPECT_FALSE(decoded->facts.lint);
}

TEST(TagRecord, OlderOnesSayNothingOfFixedIds) {
  std::string text(as_text(encode(full())));
  const std::string_view member = R"("fixed_ids":["a file"],"fixed_ids_by":1,)";
  text.erase(text.find(member), member.size());
  const auto decoded = decode_tag_record(as_bytes(text));
  ASSERT_DONE(decoded);
  EXPECT_FALSE(decoded->facts.fixed_ids);
  EXPECT_EQ(decoded->facts.fixed_ids_by, 0U);
}

TEST(TagRecord, Golden) {
  EXPECT_EQ(as_text(encode(full())),
            R"({"version":1,"name":"debian","tag":"12","image":"7c9fa136d4413fa6173637e883b6998d32e1d675f88cddff9dc)"
            R"(bcf331820f4b8","parent":"d86e8112f3c4c4442126f8e9f44f16867da487f29052bf91b810457db34209a4","created")"
            R"(:"2026-11-02T14:03:09Z","source":"debian.img","disk_size":4294967296,"data_size":536870912,"sector_s)"
            R"(ize":512,"table":"gpt","disk_guid":"5c1a8e0c-0000-4000-8000-000000000001","partitions":[{"number":1,)"
            R"("offset":1048576,"length":4292870144,"type":"4f68bce3-e8cd-4db1-96e7-fbcaf984b709","guid":"g","name")"
            R"(:"root \"/\"","flags":9223372036854775809,"filesystem":"ext4","label":"l","uuid":"u"}],"root":{"part)"
            R"(ition":1,"filesystem":"ext4","offset":1048576,"length":4292870144,"label":"l","uuid":"u","clean":tru)"
            R"(e},"architecture":"x86_64","firmware":["bios","uefi"],"cloud_init":false,"os_release":{"ID":"debian")"
            R"(,"VERSION_ID":"12"},"roles":["web","db"],"fixed_ids":["a file"],"fixed_ids_by":1,"lint":[{"code":"machine-)"
            R"(id","path":"/etc/machine-id"}],"kernels":["6.1.0-18-amd64"],"labels":{"ex)"
            R"(ample.org/a-b_c.D":"ä","owner":"web team"},"tagged":"2026-11-03T08:00:00Z"})");
}

// As version 0.1 wrote it: without kernels, labels and the time of the statement.
TEST(TagRecord, OlderOnesAreRead) {
  std::string text(as_text(encode(full())));
  const std::size_t end = text.find(R"(,"kernels")");
  ASSERT_NE(end, text.npos);
  const auto decoded = decode_tag_record(as_bytes(text.substr(0, end) + "}"));
  ASSERT_DONE(decoded);
  EXPECT_EQ(decoded->roles, full().roles);
  EXPECT_TRUE(decoded->labels.empty());
  EXPECT_TRUE(decoded->facts.kernels.empty());
  EXPECT_EQ(decoded->tagged, decoded->created);
  EXPECT_EQ(decoded->others, "");
}

TEST(TagRecord, TextThatIsNotUtf8IsReplaced) {
  for (const std::string text :
       {"caf\xe9", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "ok \xe2\x82\xac \xf0\x9f\x90\x83"}) {
    TagRecord record = full();
    record.facts.os_release["NAME"] = text;
    const auto decoded = decode_tag_record(encode(record));
    ASSERT_DONE(decoded);
    EXPECT_EQ(decoded->facts.os_release.at("NAME") == text, text.starts_with("ok"));
  }
}

TEST(TagRecord, UnknownMembersAreIgnoredAndKept) {
  std::string text(as_text(encode(full())));
  text.insert(1, R"("later": {"x": [1, 2]}, "more": null, )");
  auto decoded = decode_tag_record(as_bytes(text));
  ASSERT_DONE(decoded);
  decoded->name.tag = "13";
  const auto again = decode_tag_record(encode(*decoded));
  ASSERT_DONE(again);
  EXPECT_EQ(again->name.tag, "13");
  EXPECT_EQ(again->others, R"({"later":{"x":[1,2]},"more":null})");
}

TEST(TagRecord, LabelsAreShortTextUnderPlainKeys) {
  EXPECT_TRUE(is_label("a", ""));
  EXPECT_TRUE(is_label("Example.org/x-y_z", std::string(kMaxLabelValue, 'v')));
  EXPECT_TRUE(is_label(std::string(kMaxLabelKey, 'k'), "\xe2\x82\xac = 1"));
  for (const std::string& key : {std::string(), std::string("-a"), std::string("a b"), std::string("a="),
                                 std::string("\xc3\xa4"), std::string("a\n"), std::string(kMaxLabelKey + 1, 'k')})
    EXPECT_FALSE(is_label(key, "v")) << key;
  for (const std::string& value : {std::string("a\nb"), std::string("\x1b[2J"), std::string("\xff"), std::string(1, '\0'),
                                   std::string(kMaxLabelValue + 1, 'v')})
    EXPECT_FALSE(is_label("k", value)) << value;
}

TEST(TagRecord, RefusesMoreWordsThanItHolds) {
  const auto decodes = [](std::size_t roles, std::size_t labels) {
    TagRecord record = full();
    record.roles.assign(roles, "web");
    record.labels.clear();
    for (std::size_t i = 0; i < labels; ++i) record.labels[fmt::format("k{}", i)] = "v";
    return decode_tag_record(encode(record)).has_value();
  };
  EXPECT_TRUE(decodes(kMaxRoles, kMaxLabels));
  EXPECT_FALSE(decodes(kMaxRoles + 1, kMaxLabels));
  EXPECT_FALSE(decodes(kMaxRoles, kMaxLabels + 1));
}

Code replaced(std::string_view what, std::string_view with) {
  std::string text(as_text(encode(full())));
  const std::size_t at = text.find(what);
  EXPECT_NE(at, text.npos) << what;
  text.replace(at, what.size(), with);
  return code_of(decode_tag_record(as_bytes(text)));
}

TEST(TagRecord, RefusesWhatIsNotOne) {
  EXPECT_EQ(replaced("\"gpt\"", "\"gpt\""), Code{});
  for (const auto& [what, with] : std::vector<std::pair<std::string, std::string>>{
           {"\"version\":1", "\"version\":2"},
           {"\"version\":1", "\"version\":\"1\""},
           {"\"name\":\"debian\"", "\"name\":\"De bian\""},
           {"\"tag\":\"12\"", "\"tag\":\"\""},
           {"\"tag\":\"12\"", "\"tag\":\"1:2\""},
           {"\"image\":\"7", "\"image\":\"g"},
           {"\"image\":\"7", "\"image\":\""},
           {"\"parent\":\"", "\"parent\":\"0"},
           {"\"disk_size\":4294967296", "\"disk_size\":-1"},
           {"\"disk_size\":4294967296", "\"disk_size\":4294967296.0"},
           {"\"disk_size\":4294967296", "\"disk_size\":1"},  // less than its data
           {"\"partitions\":[", "\"partitions\":[1,"},
           {"\"root\":{", "\"root\":{}, \"x\":{"},
           {"\"clean\":true", "\"clean\":1"},
           {"\"firmware\":[", "\"firmware\":[null,"},
           {"\"os_release\":{", "\"os_release\":{\"A\":1,"},
           {"\"created\"", "\"Created\""},
           {"\"lint\":[", "\"lint\":[1,"},
           {"\"lint\":[", "\"lint\":1,\"x\":["},
           {"\"code\":\"machine-id\",", ""},
           {"\"web\",", "\"We b\","},
           {"\"kernels\":[", "\"kernels\":[1,"},
           {"\"labels\":{", "\"labels\":{\"a b\":\"\","},
           {"\"labels\":{", "\"labels\":{\"a\":1,"},
           {"\"owner\":\"", "\"owner\":\"\\n"},
           {"\"tagged\":\"2026-11-03T08:00:00Z\"", "\"tagged\":1"},
           {"08:00:00Z\"}", "08:00:00Z\""},
           {"{\"version\"", "[{\"version\""},
       })
    EXPECT_EQ(replaced(what, with), Code::content_altered) << what << " → " << with;
  EXPECT_CODE(Code::content_altered, decode_tag_record({}));
  EXPECT_CODE(Code::content_altered, decode_tag_record(as_bytes("[]")));
  std::string large(as_text(encode(full())));
  large.append(kMaxTagRecord.bytes, ' ');
  EXPECT_CODE(Code::content_altered, decode_tag_record(as_bytes(large)));
  const std::string deep(60'000, '[');
  EXPECT_CODE(Code::content_altered, decode_tag_record(as_bytes(deep)));
}

}  // namespace
}  // namespace stampede::chunker

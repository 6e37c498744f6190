// Names that are given, move and go, and the step from version 1, which had none that did.
#include "tests/cache/catalog_fixture.h"

namespace stampede::cache {
namespace {

TEST(Catalog, KeepsTags) {
  Opened opened;
  for (const auto* name : {"debian:12", "alpine:3", "debian:11"}) {
    const auto record = tag(name, 1);
    EXPECT_EQ(opened.catalog->add_tag(record, sign(record)).value(), true);
  }
  const auto reopened = opened.open();
  const auto found = reopened->find_tag(chunker::ImageName{"debian", "12"});
  ASSERT_DONE(found);
  ASSERT_TRUE(*found);
  const auto expected = sign(tag("debian:12", 1));
  EXPECT_EQ((*found)->record, expected.record);
  EXPECT_EQ((*found)->signer, expected.signer);
  EXPECT_EQ((*found)->signature, expected.signature);
  EXPECT_EQ(reopened->find_tag(chunker::ImageName{"debian", "13"}).value(), std::nullopt);
  const auto all = reopened->list_tags();
  ASSERT_DONE(all);
  std::vector<std::string> names;
  for (const auto& record : *all) names.push_back(chunker::decode_tag_record(record.record)->name.text());
  EXPECT_EQ(names, (std::vector<std::string>{"alpine:3", "debian:11", "debian:12"}));
}

TEST(Catalog, ATagStaysWhatItIs) {
  Opened opened;
  const auto first = tag("a:1", 1);
  EXPECT_EQ(opened.catalog->add_tag(first, sign(first)).value(), true);
  auto later = first;
  later.created = "later";
  EXPECT_EQ(opened.catalog->add_tag(later, sign(later)).value(), false);
  EXPECT_EQ((*opened.catalog->find_tag(chunker::ImageName{"a", "1"}))->record, sign(first).record);
  const auto other = tag("a:1", 2);
  const auto taken = opened.catalog->add_tag(other, sign(other));
  EXPECT_CODE(Code::tag_taken, taken);
  EXPECT_TRUE(taken.error().message.contains("--move"));
  EXPECT_CODE(Code::tag_taken, opened.catalog->add_tag(other, sign(other), Naming::restate));
  auto large = sign(tag("b:1", 1));
  large.record.resize(chunker::kMaxTagRecord.bytes + 1);
  EXPECT_CODE(Code::usage, opened.catalog->add_tag(tag("b:1", 1), large));
}

TEST(Catalog, AnotherSignerSignsTheSameImageAgain) {
  Opened opened;
  const auto record = tag("a:1", 1);
  auto later = record;
  later.created = "later";
  auto again = sign(later);
  again.signer = key(101);
  EXPECT_EQ(opened.catalog->add_tag(record, sign(record)).value(), true);
  EXPECT_EQ(opened.catalog->add_tag(later, again).value(), true);
  EXPECT_EQ(opened.catalog->add_tag(later, again).value(), false);
  const auto newest = opened.catalog->find_tag(record.name);
  ASSERT_TRUE(newest && *newest);
  EXPECT_EQ((*newest)->record, again.record);
  EXPECT_EQ((*newest)->image, record.image);
  const auto all = opened.catalog->list_tags();
  ASSERT_DONE(all);
  ASSERT_EQ(all->size(), 1U);
  EXPECT_EQ(all->front().signer, again.signer);
  EXPECT_EQ(all->front().name, record.name);
  const auto history = opened.catalog->tag_history(record.name);
  ASSERT_DONE(history);
  ASSERT_EQ(history->size(), 2U);
  EXPECT_EQ(history->front().record, sign(record).record);
}

std::uint64_t image_of(const std::optional<TagRow>& row) {
  for (std::uint64_t i = 1; row && i < 10; ++i)
    if (row->image.digest == id_of(i).digest) return i;
  return 0;
}

TEST(Catalog, ATagMovesAndItsHistoryIsKept) {
  Opened opened;
  Catalog& catalog = *opened.catalog;
  const UnixTime start = opened.clock.time;
  for (const std::uint64_t image : {1, 2, 1}) {
    EXPECT_EQ(catalog.add_tag(tag("a:stable", image), sign(tag("a:stable", image)), Naming::move).value(), true);
    opened.clock.time += 10;
  }
  EXPECT_EQ(catalog.add_tag(tag("a:stable", 1), sign(tag("a:stable", 1)), Naming::move).value(), false);
  EXPECT_EQ(image_of(catalog.find_tag(tag("a:stable", 1).name).value()), 1U);
  EXPECT_EQ(catalog.list_tags()->size(), 1U);
  const auto history = catalog.tag_history({"a", "stable"});
  ASSERT_DONE(history);
  ASSERT_EQ(history->size(), 3U);
  EXPECT_EQ(image_of((*history)[1]), 2U);
  EXPECT_EQ((*history)[1].added, start + 10);
  EXPECT_EQ((*history)[1].ended, start + 20);
  EXPECT_EQ((*history)[2].ended, 0);
}

TEST(Catalog, TheSameSignerMayRestateWhatHeSays) {
  Opened opened;
  const auto first = tag("a:1", 1);
  auto second = first;
  second.roles = {"web"};
  EXPECT_EQ(opened.catalog->add_tag(first, sign(first)).value(), true);
  EXPECT_EQ(opened.catalog->add_tag(second, sign(second), Naming::restate).value(), true);
  EXPECT_EQ((*opened.catalog->find_tag(first.name))->record, sign(second).record);
  EXPECT_EQ(opened.catalog->tag_history(first.name)->size(), 2U);
}

TEST(Catalog, AnImageIsFoundByItsId) {
  Opened opened;
  Catalog& catalog = *opened.catalog;
  for (const auto& [name, image] : std::vector<std::pair<const char*, std::uint64_t>>{
           {"a:stable", 1}, {"a:stable", 2}, {"a:2", 2}, {"b:1", 1}, {"c:1", 3}}) {
    EXPECT_EQ(catalog.add_tag(tag(name, image), sign(tag(name, image)), Naming::move).value(), true);
    opened.clock.time += 1;
  }
  const auto find = [&](const std::string& name, std::uint64_t image, std::size_t digits) {
    const std::string id = to_hex(id_of(image).digest).substr(0, digits);
    return catalog.find_tag(*chunker::ImageRef::parse(name.empty() ? id : name + "@" + id));
  };
  for (std::size_t digits = 8; digits <= 64; digits += 7) {
    const auto old = find("a", 1, digits);
    ASSERT_DONE(old);
    EXPECT_EQ(image_of(*old), 1U);
    EXPECT_EQ((*old)->name.text(), "a:stable");  // history, but there is no other
  }
  EXPECT_EQ((*find("a", 2, 64))->name.text(), "a:2");  // the newer of two that count
  EXPECT_EQ((*find("", 1, 64))->name.text(), "b:1");   // what counts goes before history
  EXPECT_EQ(find("b", 2, 64).value(), std::nullopt);
  EXPECT_EQ(find("", 4, 64).value(), std::nullopt);
}

TEST(Catalog, AnIdThatMayBeSeveralImagesIsRefused) {
  Opened opened;
  for (const std::uint64_t image : {1, 2}) {
    auto record = tag("a:" + std::to_string(image), image);
    record.image.digest[0] = record.image.digest[1] = record.image.digest[2] = record.image.digest[3] = std::byte{0xab};
    EXPECT_EQ(opened.catalog->add_tag(record, sign(record)).value(), true);
  }
  const auto ref = *chunker::ImageRef::parse("a@abababab");
  EXPECT_CODE(Code::usage, opened.catalog->find_tag(ref));
  EXPECT_CODE(Code::usage, opened.catalog->remove_tags(ref, false, "me"));
  EXPECT_EQ(opened.catalog->list_tags()->size(), 2U);
}

TEST(Catalog, ARemovedNameIsGoneAndItsHistoryOnlyWhenAsked) {
  Opened opened;
  Catalog& catalog = *opened.catalog;
  const auto add = [&](const char* name, std::uint64_t image) {
    return catalog.add_tag(tag(name, image), sign(tag(name, image)), Naming::move).value();
  };
  const auto live = [&] { return catalog.live_images()->size(); };
  const chunker::ImageName stable{"a", "stable"};
  EXPECT_TRUE(add("a:stable", 1));
  EXPECT_TRUE(add("a:stable", 2));
  EXPECT_TRUE(add("a:1", 1));
  EXPECT_EQ(live(), 2U);
  const auto removed = catalog.remove_tags(stable, false, "me");
  ASSERT_DONE(removed);
  ASSERT_EQ(removed->size(), 1U);
  EXPECT_EQ(image_of(removed->front()), 2U);
  EXPECT_EQ(catalog.find_tag(stable).value(), std::nullopt);
  EXPECT_EQ(catalog.list_tags()->size(), 1U);
  EXPECT_EQ(catalog.tag_history(stable)->size(), 1U);
  EXPECT_EQ(live(), 1U);
  EXPECT_TRUE(add("a:stable", 3));
  EXPECT_EQ(catalog.tag_history(stable)->size(), 2U);
  EXPECT_EQ(catalog.remove_tags(stable, true, "me")->size(), 2U);
  EXPECT_EQ(catalog.tag_history(stable)->size(), 0U);
  EXPECT_EQ(live(), 1U);
  EXPECT_EQ(catalog.remove_tags(stable, true, "me")->size(), 0U);
}

TEST(Catalog, AnImageIsRemovedFromAllThatANameHas) {
  Opened opened;
  Catalog& catalog = *opened.catalog;
  for (const auto& [name, image] :
       std::vector<std::pair<const char*, std::uint64_t>>{{"a:stable", 1}, {"a:stable", 2}, {"a:1", 1}, {"b:1", 1}})
    EXPECT_EQ(catalog.add_tag(tag(name, image), sign(tag(name, image)), Naming::move).value(), true);
  const std::string id = to_hex(id_of(1).digest);
  EXPECT_EQ(catalog.remove_tags(*chunker::ImageRef::parse("a@" + id.substr(0, 12)), false, "me")->size(), 2U);
  EXPECT_EQ(catalog.find_tag(chunker::ImageName{"a", "1"}).value(), std::nullopt);
  EXPECT_EQ(catalog.tag_history({"a", "stable"})->size(), 1U);
  EXPECT_EQ(catalog.live_images()->size(), 2U);
  EXPECT_EQ(catalog.remove_tags(*chunker::ImageRef::parse(id), false, "me")->size(), 1U);
  EXPECT_EQ(catalog.live_images()->size(), 1U);
}

TEST(Catalog, RefusesNamesThatAreNone) {
  Opened opened;
  for (const std::string& bad : std::vector<std::string>{"", "..", "a/b", "A", "-a", "\xc3\xa4", "a\nb", {"a\0b", 3}}) {
    auto record = tag("a:1", 1);
    record.name = {bad, "1"};
    EXPECT_CODE(Code::usage, opened.catalog->add_tag(record, sign(record))) << bad;
    record.name = {"a", bad};
    EXPECT_CODE(Code::usage, opened.catalog->add_tag(record, sign(record))) << bad;
  }
  EXPECT_EQ(opened.catalog->list_tags()->size(), 0U);
}

TEST(Catalog, TheAuditLogTellsWhatWasRemoved) {
  Opened opened;
  const auto record = tag("a:1", 1);
  EXPECT_EQ(opened.catalog->add_tag(record, sign(record)).value(), true);
  ASSERT_DONE(opened.catalog->remove_tags(record.name, false, "me"));
  const auto file = opened.scratch / "catalog.sqlite";
  EXPECT_EQ(sql(file, "SELECT actor || ' ' || action || ' ' || subject FROM audit"),
            fmt::format("me image rm a:1 {} signed by {}", to_hex(id_of(1).digest), to_hex(key(100))));
}

// As version 1 made it, with a name that two signed.
constexpr const char* kVersion1 = R"sql(
CREATE TABLE tags (
  name TEXT NOT NULL, tag TEXT NOT NULL, image BLOB NOT NULL, parent BLOB NOT NULL,  -- parent: empty or an image id
  record BLOB NOT NULL, signer BLOB NOT NULL, signature BLOB NOT NULL, added INTEGER NOT NULL,
  number INTEGER NOT NULL,  -- from 1 for each name:tag; the highest counts, those before it are history
  PRIMARY KEY (name, tag, number)) STRICT;
CREATE TABLE tokens (
  secret_hash BLOB PRIMARY KEY, expires INTEGER NOT NULL, uses INTEGER NOT NULL) STRICT;
CREATE TABLE nodes (
  key BLOB PRIMARY KEY, enrolled INTEGER NOT NULL) STRICT;
CREATE TABLE token_uses (
  secret_hash BLOB NOT NULL REFERENCES tokens, key BLOB NOT NULL REFERENCES nodes,
  PRIMARY KEY (secret_hash, key)) STRICT;
CREATE TABLE receipts (
  number INTEGER PRIMARY KEY AUTOINCREMENT, node BLOB NOT NULL, received INTEGER NOT NULL, verdict TEXT NOT NULL,
  receipt BLOB NOT NULL, signature BLOB NOT NULL) STRICT;
CREATE TABLE audit (
  number INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
  subject TEXT NOT NULL) STRICT;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE INDEX receipts_by_node ON receipts (node);
INSERT INTO tags VALUES
  ('a', '1', randomblob(32), x'', x'01', zeroblob(32), zeroblob(64), 10, 1),
  ('a', '2', zeroblob(32), x'', x'02', zeroblob(32), zeroblob(64), 11, 1),
  ('a', '2', zeroblob(32), x'', x'03', zeroblob(32), zeroblob(64), 12, 2);
INSERT INTO audit VALUES (1, 10, 'operator', 'image import', 'a:1');
PRAGMA user_version = 1;
)sql";

TEST(Catalog, ACatalogOfVersion1IsTakenOver) {
  Opened opened;
  const auto file = opened.scratch / "old.sqlite";
  ASSERT_EQ(sql(file, kVersion1), "");
  {
    const auto catalog = Catalog::open(file, opened.clock);
    ASSERT_DONE(catalog);
    const auto tags = (*catalog)->list_tags();
    ASSERT_DONE(tags);
    ASSERT_EQ(tags->size(), 2U);
    EXPECT_EQ((*tags)[1].record, Bytes{std::byte{3}});
    const auto history = (*catalog)->tag_history({"a", "2"});
    ASSERT_EQ(history->size(), 2U);
    EXPECT_EQ((*history)[0].added, 11);
    EXPECT_EQ((*history)[0].ended, 12);
    EXPECT_EQ((*history)[1].ended, 0);
    const auto moved = tag("a:1", 1);
    EXPECT_EQ((*catalog)->add_tag(moved, sign(moved), Naming::move).value(), true);
    EXPECT_EQ((*catalog)->check().value(), std::vector<std::string>{});
  }
  EXPECT_EQ(sql(file, "PRAGMA user_version"), "3");
  EXPECT_EQ(sql(file, "SELECT count(*) FROM audit"), "1");
  // A new one has the same tables.
  constexpr const char* kTables =
      "SELECT group_concat(t.name || ' ' || c.name || ' ' || c.type || c.\"notnull\" || ifnull(c.dflt_value, '') || c.pk) "
      "FROM (SELECT name FROM sqlite_schema ORDER BY name) AS t, pragma_table_xinfo(t.name) AS c";
  EXPECT_EQ(sql(file, kTables), sql(opened.scratch / "catalog.sqlite", kTables));
  EXPECT_TRUE(sql(file, kTables).contains("tags ended"));
}

}  // namespace
}  // namespace stampede::cache

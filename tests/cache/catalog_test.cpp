#include "cache/catalog.h"

#include <fcntl.h>
#include <sqlite3.h>

#include <atomic>
#include <thread>

#include "tests/cache/store_fixture.h"

namespace stampede::cache {
namespace {

using namespace stampede::testing;

struct Opened {
  Scratch scratch;
  SetClock clock;
  std::unique_ptr<Catalog> catalog = open();

  std::unique_ptr<Catalog> open() {
    auto opened = Catalog::open(scratch / "catalog.sqlite", clock);
    EXPECT_DONE(opened);
    return opened ? *std::move(opened) : nullptr;
  }
};

KeyBytes key(std::uint64_t number) { return id_of(number).digest; }

chunker::TagRecord tag(std::string_view name, std::uint64_t image) {
  chunker::TagRecord record;
  record.name = *chunker::ImageName::parse(name);
  record.image = {id_of(image).digest};
  return record;
}

chunker::SignedTagRecord sign(const chunker::TagRecord& record) {
  chunker::SignedTagRecord out{.record = encode(record), .signer = key(100), .signature = {}};
  out.signature[63] = std::byte{9};
  return out;
}

TEST(Catalog, KeepsTags) {
  Opened opened;
  for (const auto* name : {"debian:12", "alpine:3", "debian:11"}) {
    const auto record = tag(name, 1);
    EXPECT_EQ(opened.catalog->add_tag(record, sign(record)).value(), true);
  }
  const auto reopened = opened.open();
  const auto found = reopened->find_tag({"debian", "12"});
  ASSERT_DONE(found);
  ASSERT_TRUE(*found);
  const auto expected = sign(tag("debian:12", 1));
  EXPECT_EQ((*found)->record, expected.record);
  EXPECT_EQ((*found)->signer, expected.signer);
  EXPECT_EQ((*found)->signature, expected.signature);
  EXPECT_EQ(reopened->find_tag({"debian", "13"}).value(), std::nullopt);
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
  EXPECT_EQ((*opened.catalog->find_tag({"a", "1"}))->record, sign(first).record);
  const auto other = tag("a:1", 2);
  EXPECT_CODE(Code::tag_taken, opened.catalog->add_tag(other, sign(other)));
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

// A page in the middle of the file is overwritten: the tables that lie elsewhere can still be read.
TEST(Catalog, CheckFindsADamagedFile) {
  Opened opened;
  EXPECT_EQ(opened.catalog->check().value(), std::vector<std::string>{});
  opened.catalog.reset();
  const auto path = opened.scratch / "catalog.sqlite";
  const auto file = File::open(path, O_RDWR);
  ASSERT_DONE(file);
  const std::uint64_t last = file->size().value().bytes - 4096;
  ASSERT_DONE(file->write_at({last}, Bytes(4096, std::byte{0x77})));
  const auto problems = opened.open()->check();
  ASSERT_DONE(problems);
  EXPECT_FALSE(problems->empty());
}

TEST(Catalog, TokensAreBoundToTheKeysThatUseThem) {
  Opened opened;
  Catalog& catalog = *opened.catalog;
  const UnixTime start = opened.clock.time;
  ASSERT_DONE(catalog.add_token(key(1), start + 60, 2));
  EXPECT_CODE(Code::token_invalid, catalog.redeem(key(2), key(10)));
  EXPECT_EQ(catalog.is_enrolled(key(10)).value(), false);
  ASSERT_DONE(catalog.redeem(key(1), key(10)));
  ASSERT_DONE(catalog.redeem(key(1), key(10)));  // does not count twice
  ASSERT_DONE(catalog.redeem(key(1), key(11)));
  EXPECT_CODE(Code::token_used, catalog.redeem(key(1), key(12)));
  EXPECT_EQ(catalog.is_enrolled(key(12)).value(), false);
  opened.clock.time = start + 60;
  EXPECT_CODE(Code::token_expired, catalog.redeem(key(1), key(12)));
  ASSERT_DONE(catalog.redeem(key(1), key(11)));  // may come back at any time
  const auto nodes = catalog.list_nodes();
  ASSERT_DONE(nodes);
  ASSERT_EQ(nodes->size(), 2U);
  EXPECT_EQ((*nodes)[0].enrolled, start);
  EXPECT_EQ(catalog.is_enrolled(key(11)).value(), true);
}

TEST(Catalog, TokensExpireByTheDepotsClock) {
  Opened opened;
  ASSERT_DONE(opened.catalog->add_token(key(1), opened.clock.time + 10, 5));
  opened.clock.time += 9;
  ASSERT_DONE(opened.catalog->redeem(key(1), key(10)));
  opened.clock.time += 1;
  EXPECT_CODE(Code::token_expired, opened.catalog->redeem(key(1), key(11)));
}

TEST(Catalog, ANodeMayUseAnotherToken) {
  Opened opened;
  const UnixTime start = opened.clock.time;
  ASSERT_DONE(opened.catalog->add_token(key(1), start + 60, 1));
  ASSERT_DONE(opened.catalog->add_token(key(2), start + 60, 1));
  ASSERT_DONE(opened.catalog->redeem(key(1), key(10)));
  opened.clock.time += 5;
  ASSERT_DONE(opened.catalog->redeem(key(2), key(10)));
  const auto nodes = opened.catalog->list_nodes();
  ASSERT_EQ(nodes->size(), 1U);
  EXPECT_EQ((*nodes)[0].enrolled, start);
}

// One use, many processes' worth of connections: exactly one key gets it.
TEST(Catalog, AUseIsGivenOnce) {
  Opened opened;
  ASSERT_DONE(opened.catalog->add_token(key(1), opened.clock.time + 60, 1));
  std::atomic<int> redeemed = 0, used = 0;
  {
    std::vector<std::jthread> threads;
    for (std::uint64_t i = 0; i < 4; ++i)
      threads.emplace_back([&, i] {
        const auto own = opened.open();
        const auto result = own->redeem(key(1), key(10 + i));
        if (result) ++redeemed;
        if (!result && result.error().code == Code::token_used) ++used;
      });
  }
  EXPECT_EQ(redeemed, 1);
  EXPECT_EQ(used, 3);
}

TEST(Catalog, KeepsReceiptsInOrder) {
  Opened opened;
  ReceiptRow row{
      .number = 0, .node = key(1), .received = 5, .verdict = "success", .receipt = copy(as_bytes("{}")), .signature = {}};
  row.signature[0] = std::byte{7};
  const auto first = opened.catalog->add_receipt(row);
  row.verdict = "failure";
  row.receipt.clear();
  const auto second = opened.catalog->add_receipt(row);
  ASSERT_DONE(first);
  ASSERT_DONE(second);
  EXPECT_LT(*first, *second);
  const auto all = opened.catalog->list_receipts();
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ((*all)[0].number, *first);
  EXPECT_EQ(as_text((*all)[0].receipt), "{}");
  EXPECT_EQ((*all)[1].verdict, "failure");
  EXPECT_TRUE((*all)[1].receipt.empty());
  const auto found = opened.catalog->find_receipt(*second);
  ASSERT_TRUE(found.value());
  EXPECT_EQ((*found)->signature, row.signature);
  EXPECT_EQ((*found)->node, key(1));
  EXPECT_EQ(opened.catalog->find_receipt(99).value().has_value(), false);
}

TEST(Catalog, FindsTheNewestSuccessOnADisk) {
  Opened opened;
  Catalog& catalog = *opened.catalog;
  const auto add = [&](std::string_view verdict, std::string_view disk) {
    const std::string receipt = fmt::format(R"({{"version":1,"disk":{}}})", disk);
    const auto number = catalog.add_receipt({.number = 0,
                                             .node = key(1),
                                             .received = 5,
                                             .verdict = std::string(verdict),
                                             .receipt = copy(as_bytes(receipt)),
                                             .signature = {}});
    EXPECT_TRUE(number);
    return number.value_or(0);
  };
  const auto find = [&](const DiskNames& disk) -> std::int64_t {
    const auto row = catalog.newest_success_on(disk);
    EXPECT_TRUE(row) << row.error().message;
    return row && *row ? (*row)->number : 0;
  };
  EXPECT_TRUE(catalog.add_receipt({.verdict = "success", .receipt = copy(as_bytes("not JSON"))}));
  add("success", R"({"guid":"g","serial":"S","wwn":"","path":"/dev/a","size":4})");
  const auto second = add("success", R"({"guid":"g","serial":"S","wwn":"","path":"/dev/b","size":4,"x":1})");
  add("failure", R"({"guid":"g","serial":"S","wwn":"","path":"/dev/b","size":4,"x":2})");
  add("failure", R"({"guid":"f","serial":"S","wwn":"","path":"/dev/b","size":4})");
  const auto nameless = add("success", R"({"guid":"g","serial":"","wwn":"","path":"/vm","size":4})");
  EXPECT_EQ(find({"g", "S", "", "/dev/other", 4}), second);
  EXPECT_EQ(find({"g", "", "", "/vm", 4}), nameless);
  EXPECT_EQ(find({"g", "", "", "/vm2", 4}), 0);
  EXPECT_EQ(find({"g", "S2", "", "/dev/b", 4}), 0);
  EXPECT_EQ(find({"g", "S", "w", "/dev/b", 4}), 0);
  EXPECT_EQ(find({"g", "S", "", "/dev/b", 5}), 0);
  EXPECT_EQ(find({"f", "S", "", "/dev/b", 4}), 0);
  EXPECT_EQ(find({"", "", "", "", 0}), 0);
}

TEST(Catalog, AReceiptThatIsSentAgainKeepsItsNumber) {
  Opened opened;
  ReceiptRow row{
      .number = 0, .node = key(1), .received = 5, .verdict = "success", .receipt = copy(as_bytes("{}")), .signature = {}};
  const auto first = opened.catalog->add_receipt(row);
  ASSERT_DONE(first);
  EXPECT_EQ(opened.catalog->add_receipt(row).value(), *first);
  row.node = key(2);
  EXPECT_NE(opened.catalog->add_receipt(row).value(), *first);
  EXPECT_EQ(opened.catalog->list_receipts()->size(), 2U);
}

// Looks into the file beside the catalog; returns the first column of the first row, or SQLite's error.
std::string sql(const std::filesystem::path& file, const char* text) {
  sqlite3* database = nullptr;
  std::string out;
  char* error = nullptr;
  sqlite3_open(file.c_str(), &database);
  const auto row = [](void* to, int, char** values, char**) {
    *static_cast<std::string*>(to) = values[0] != nullptr ? values[0] : "";
    return 0;
  };
  if (sqlite3_exec(database, text, row, &out, &error) != SQLITE_OK) out = error;
  sqlite3_free(error);
  sqlite3_close(database);
  return out;
}

TEST(Catalog, TheAuditLogIsAppendOnly) {
  Opened opened;
  ASSERT_DONE(opened.catalog->audit("root", "image.import", "it's \"debian:12\"; DROP TABLE audit"));
  const auto file = opened.scratch / "catalog.sqlite";
  EXPECT_EQ(sql(file, "SELECT subject FROM audit"), "it's \"debian:12\"; DROP TABLE audit");
  EXPECT_EQ(sql(file, "SELECT at FROM audit"), std::to_string(opened.clock.time));
  EXPECT_EQ(sql(file, "DELETE FROM audit"), "the audit log is append-only");
  EXPECT_EQ(sql(file, "UPDATE audit SET actor = 'x'"), "the audit log is append-only");
}

TEST(Catalog, IsWrittenAheadAndRefusedWhenNewer) {
  Opened opened;
  const auto file = opened.scratch / "catalog.sqlite";
  EXPECT_EQ(sql(file, "PRAGMA journal_mode"), "wal");
  EXPECT_EQ(sql(file, "PRAGMA user_version"), "1");
  opened.catalog.reset();
  sql(file, "PRAGMA user_version = 2");
  EXPECT_CODE(Code::store_too_new, Catalog::open(file, opened.clock));
}

TEST(Catalog, ADamagedFileIsSaidSo) {
  const Scratch scratch;
  ASSERT_DONE(replace_file(scratch / "catalog.sqlite", random_bytes(1, 8192)));
  EXPECT_CODE(Code::store_damaged, Catalog::open(scratch / "catalog.sqlite", system_clock()));
}

}  // namespace
}  // namespace stampede::cache

#include "cache/catalog.h"

#include <fcntl.h>

#include <atomic>
#include <thread>

#include "tests/cache/catalog_fixture.h"

namespace stampede::cache {
namespace {

using namespace stampede::testing;

// A page in the middle of the file is overwritten: the tables that lie elsewhere can still be read.
TEST(Catalog, CheckFindsADamagedFile) {
  Opened opened;
  EXPECT_EQ(opened.catalog->check().value(), std::vector<std::string>{});
  opened.catalog.reset();
  const auto path = opened.scratch / "catalog.sqlite";
  const auto file = File::open(path, O_RDWR);
  ASSERT_DONE(file);
  for (Offset page{4096}; page < Offset{file->size().value().bytes}; page += 4096_B) {
    Bytes before(4096);
    ASSERT_DONE(file->read_at(page, before));
    ASSERT_DONE(file->write_at(page, Bytes(4096, std::byte{0x77})));
    {
      const auto catalog = Catalog::open(path, opened.clock);
      const auto problems = catalog ? (*catalog)->check() : std::vector{catalog.error().message};
      ASSERT_DONE(problems);
      EXPECT_FALSE(problems->empty()) << "page at " << page.bytes;
    }
    ASSERT_DONE(file->write_at(page, before));
  }
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
  EXPECT_EQ(sql(file, "PRAGMA user_version"), "3");
  opened.catalog.reset();
  sql(file, "PRAGMA user_version = 4");
  const auto newer = Catalog::open(file, opened.clock);
  EXPECT_CODE(Code::store_too_new, newer);
  EXPECT_TRUE(newer.error().message.contains("version 4"));
}

TEST(Catalog, ADamagedFileIsSaidSo) {
  const Scratch scratch;
  ASSERT_DONE(replace_file(scratch / "catalog.sqlite", random_bytes(1, 8192)));
  EXPECT_CODE(Code::store_damaged, Catalog::open(scratch / "catalog.sqlite", system_clock()));
}

}  // namespace
}  // namespace stampede::cache

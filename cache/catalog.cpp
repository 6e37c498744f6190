#include "cache/catalog.h"

#include <algorithm>
#include <iterator>
#include <mutex>

#include "cache/catalog_schema.h"
#include "cache/catalog_sql.h"
#include "cache/catalog_tags.h"
#include "src/base/text.h"

namespace stampede::cache {
namespace {

using chunker::SignedTagRecord;

class SqliteCatalog final : public Catalog {
 public:
  SqliteCatalog(Database database, Clock& clock) : database_(std::move(database)), clock_(clock), tags_(database_, clock) {}
  Result<> upgrade(const std::filesystem::path& file);

  Result<bool> add_tag(const chunker::TagRecord& decoded, const SignedTagRecord& record, Naming naming) override;
  Result<std::optional<TagRow>> find_tag(const chunker::ImageRef& image) override;
  Result<std::vector<TagRow>> list_tags() override;
  Result<std::vector<TagRow>> tag_history(const chunker::ImageName& name) override;
  Result<std::vector<chunker::ImageId>> live_images() override;
  Result<std::vector<TagRow>> remove_tags(const chunker::ImageRef& image, bool history, std::string_view actor) override;
  Result<> add_token(const Hash32& secret_hash, UnixTime expires, std::uint32_t uses, TokenGrant grant) override;
  Result<> redeem(const Hash32& secret_hash, const KeyBytes& key) override;
  Result<bool> is_enrolled(const KeyBytes& key) override;
  Result<bool> may_push(const KeyBytes& key) override;
  Result<std::vector<NodeRow>> list_nodes() override;
  Result<std::int64_t> add_receipt(const ReceiptRow& row) override;
  Result<std::vector<ReceiptRow>> list_receipts() override;
  Result<std::optional<ReceiptRow>> find_receipt(std::int64_t number) override;
  Result<std::optional<ReceiptRow>> newest_success_on(const DiskNames& disk) override;
  Result<std::vector<std::string>> check() override;
  Result<> audit(std::string_view actor, std::string_view action, std::string_view subject) override;

 private:
  Result<> check_token(const Hash32& secret_hash);
  Result<> write_audit(std::string_view actor, std::string_view action, std::string_view subject);

  std::mutex mutex_;  // one connection, one statement at a time
  Database database_;
  Clock& clock_;
  TagTable tags_;
};

Result<> take_steps(Database& database, std::int64_t version) {
  const auto steps = catalog_steps();
  for (; version < kCatalogVersion; ++version)
    STAMPEDE_CHECK(database.script(steps.at(static_cast<std::size_t>(version)).c_str()));
  return database.script(kCatalogIndexes);
}

Result<> SqliteCatalog::upgrade(const std::filesystem::path& file) {
  STAMPEDE_TRY(Transaction transaction, Transaction::begin(database_));
  std::int64_t version = 0;
  {
    STAMPEDE_TRY(Query query, database_.query("PRAGMA user_version"));
    STAMPEDE_TRY(const bool found, query.next());
    if (found) version = query.integer(0);
  }
  if (version > kCatalogVersion)
    return fail(Code::store_too_new, "the catalog {} has version {}, and this stampede knows {}; use a newer stampede",
                file.string(), version, kCatalogVersion);
  STAMPEDE_CHECK(take_steps(database_, version));
  return transaction.commit();
}

Result<bool> SqliteCatalog::add_tag(const chunker::TagRecord& decoded, const SignedTagRecord& record, Naming naming) {
  if (!decoded.name.valid()) return fail(Code::usage, "'{}' is not an image name", printable(decoded.name.text()));
  if (record.record.size() > chunker::kMaxTagRecord.bytes)
    return fail(Code::usage, "the tag record of {} has {} bytes, more than {}", decoded.name.text(), record.record.size(),
                chunker::kMaxTagRecord.bytes);
  const std::lock_guard lock(mutex_);
  STAMPEDE_TRY(Transaction transaction, Transaction::begin(database_));
  STAMPEDE_TRY(const bool added, tags_.add(decoded, record, naming));
  STAMPEDE_CHECK(transaction.commit());
  return added;
}

Result<std::optional<TagRow>> SqliteCatalog::find_tag(const chunker::ImageRef& image) {
  const std::lock_guard lock(mutex_);
  return tags_.find(image);
}

Result<std::vector<TagRow>> SqliteCatalog::list_tags() {
  const std::lock_guard lock(mutex_);
  return tags_.current();
}

Result<std::vector<TagRow>> SqliteCatalog::tag_history(const chunker::ImageName& name) {
  const std::lock_guard lock(mutex_);
  return tags_.history(name);
}

Result<std::vector<chunker::ImageId>> SqliteCatalog::live_images() {
  const std::lock_guard lock(mutex_);
  return tags_.live_images();
}

Result<std::vector<TagRow>> SqliteCatalog::remove_tags(const chunker::ImageRef& image, bool history,
                                                       std::string_view actor) {
  const std::lock_guard lock(mutex_);
  STAMPEDE_TRY(Transaction transaction, Transaction::begin(database_));
  STAMPEDE_TRY(auto removed, tags_.remove(image, history));
  for (const TagRow& row : removed)
    STAMPEDE_CHECK(
        write_audit(actor, "image rm",
                    fmt::format("{} {} signed by {}", row.name.text(), chunker::to_string(row.image), to_hex(row.signer))));
  STAMPEDE_CHECK(transaction.commit());
  return removed;
}

Result<> SqliteCatalog::add_token(const Hash32& secret_hash, UnixTime expires, std::uint32_t uses, TokenGrant grant) {
  const std::lock_guard lock(mutex_);
  STAMPEDE_TRY(Transaction transaction, Transaction::begin(database_));
  STAMPEDE_CHECK(database_.run("INSERT INTO tokens (secret_hash, expires, uses) VALUES (?1, ?2, ?3)", secret_hash, expires,
                               std::int64_t{uses}));
  if (grant.push) STAMPEDE_CHECK(database_.run("INSERT INTO push_tokens (secret_hash) VALUES (?1)", secret_hash));
  return transaction.commit();
}

// Whether a key that has not used the token yet may do so.
Result<> SqliteCatalog::check_token(const Hash32& secret_hash) {
  STAMPEDE_TRY(Query token, database_.query("SELECT expires, uses, (SELECT count(*) FROM token_uses WHERE secret_hash = ?1) "
                                            "FROM tokens WHERE secret_hash = ?1",
                                            secret_hash));
  STAMPEDE_TRY(const bool known, token.next());
  if (!known) return fail(Code::token_invalid, "the join token is not one of this depot; make one with `stampede token`");
  if (clock_.unix_time() >= token.integer(0))
    return fail(Code::token_expired, "the join token expired at {}; make a new one", to_rfc3339(token.integer(0)));
  if (token.integer(2) >= token.integer(1))
    return fail(Code::token_used, "the join token was used {} times, as often as it may be; make a new one",
                token.integer(2));
  return {};
}

Result<> SqliteCatalog::redeem(const Hash32& secret_hash, const KeyBytes& key) {
  const std::lock_guard lock(mutex_);
  STAMPEDE_TRY(Transaction transaction, Transaction::begin(database_));
  {
    STAMPEDE_TRY(Query query,
                 database_.query("SELECT 1 FROM token_uses WHERE secret_hash = ?1 AND key = ?2", secret_hash, key));
    STAMPEDE_TRY(const bool came_back, query.next());
    if (came_back) return {};
  }
  STAMPEDE_CHECK(check_token(secret_hash));
  STAMPEDE_CHECK(database_.run("INSERT OR IGNORE INTO nodes (key, enrolled) VALUES (?1, ?2)", key, clock_.unix_time()));
  STAMPEDE_CHECK(database_.run("INSERT INTO token_uses (secret_hash, key) VALUES (?1, ?2)", secret_hash, key));
  STAMPEDE_CHECK(
      database_.run("INSERT OR IGNORE INTO push_nodes (key, since) SELECT ?2, ?3 FROM push_tokens WHERE secret_hash = ?1",
                    secret_hash, key, clock_.unix_time()));
  return transaction.commit();
}

Result<bool> SqliteCatalog::is_enrolled(const KeyBytes& key) {
  const std::lock_guard lock(mutex_);
  STAMPEDE_TRY(Query query, database_.query("SELECT 1 FROM nodes WHERE key = ?1", key));
  return query.next();
}

Result<bool> SqliteCatalog::may_push(const KeyBytes& key) {
  const std::lock_guard lock(mutex_);
  STAMPEDE_TRY(Query query, database_.query("SELECT 1 FROM push_nodes WHERE key = ?1", key));
  return query.next();
}

Result<std::vector<NodeRow>> SqliteCatalog::list_nodes() {
  const std::lock_guard lock(mutex_);
  STAMPEDE_TRY(Query query, database_.query("SELECT key, enrolled FROM nodes ORDER BY enrolled, key"));
  std::vector<NodeRow> all;
  while (true) {
    STAMPEDE_TRY(const bool more, query.next());
    if (!more) return all;
    NodeRow row;
    STAMPEDE_TRY(row.key, query.array<32>(0));
    row.enrolled = query.integer(1);
    all.push_back(row);
  }
}

Result<std::int64_t> SqliteCatalog::add_receipt(const ReceiptRow& row) {
  const std::lock_guard lock(mutex_);
  STAMPEDE_TRY(Transaction transaction, Transaction::begin(database_));
  {
    STAMPEDE_TRY(Query query,
                 database_.query("SELECT number FROM receipts WHERE node = ?1 AND receipt = ?2", row.node, row.receipt));
    STAMPEDE_TRY(const bool sent_again, query.next());
    if (sent_again) return query.integer(0);
  }
  STAMPEDE_CHECK(
      database_.run("INSERT INTO receipts (node, received, verdict, receipt, signature) VALUES (?1, ?2, ?3, ?4, ?5)",
                    row.node, row.received, row.verdict, row.receipt, row.signature));
  const std::int64_t number = database_.last_row();
  STAMPEDE_CHECK(transaction.commit());
  return number;
}

Result<ReceiptRow> read_receipt(const Query& query) {
  ReceiptRow row;
  row.number = query.integer(0);
  STAMPEDE_TRY(row.node, query.array<32>(1));
  row.received = query.integer(2);
  row.verdict = query.text(3);
  row.receipt = query.blob(4);
  STAMPEDE_TRY(row.signature, query.array<64>(5));
  return row;
}

Result<std::vector<ReceiptRow>> SqliteCatalog::list_receipts() {
  const std::lock_guard lock(mutex_);
  STAMPEDE_TRY(Query query,
               database_.query("SELECT number, node, received, verdict, receipt, signature FROM receipts ORDER BY number"));
  std::vector<ReceiptRow> all;
  while (true) {
    STAMPEDE_TRY(const bool more, query.next());
    if (!more) return all;
    STAMPEDE_TRY(ReceiptRow row, read_receipt(query));
    all.push_back(std::move(row));
  }
}

Result<std::optional<ReceiptRow>> SqliteCatalog::find_receipt(std::int64_t number) {
  const std::lock_guard lock(mutex_);
  STAMPEDE_TRY(
      Query query,
      database_.query("SELECT number, node, received, verdict, receipt, signature FROM receipts WHERE number = ?1", number));
  STAMPEDE_TRY(const bool found, query.next());
  if (!found) return std::nullopt;
  return read_receipt(query);
}

// As the index says it (catalog_schema.h), or it would read every receipt.
Result<std::optional<ReceiptRow>> SqliteCatalog::newest_success_on(const DiskNames& disk) {
  const std::lock_guard lock(mutex_);
  STAMPEDE_TRY(Query query,
               database_.query(R"sql(
    SELECT number, node, received, verdict, receipt, signature FROM receipts
    WHERE verdict = 'success'
      AND CASE WHEN json_valid(CAST(receipt AS TEXT)) THEN json_extract(CAST(receipt AS TEXT), '$.disk.guid') END = ?1
      AND CASE WHEN json_valid(CAST(receipt AS TEXT)) THEN json_extract(CAST(receipt AS TEXT), '$.disk.serial') END = ?2
      AND CASE WHEN json_valid(CAST(receipt AS TEXT)) THEN json_extract(CAST(receipt AS TEXT), '$.disk.wwn') = ?3
        AND json_extract(CAST(receipt AS TEXT), '$.disk.size') = ?4
        AND (?2 <> '' OR ?3 <> '' OR json_extract(CAST(receipt AS TEXT), '$.disk.path') = ?5) END
    ORDER BY number DESC LIMIT 1)sql",
                               disk.guid, disk.serial, disk.wwn, static_cast<std::int64_t>(disk.size), disk.path));
  STAMPEDE_TRY(const bool found, query.next());
  if (!found) return std::nullopt;
  return read_receipt(query);
}

// The first column of each row.
Result<std::vector<std::string>> lines_of(Database& database, const std::string& sql) {
  std::vector<std::string> lines;
  STAMPEDE_TRY(Query query, database.query_made(sql));
  while (true) {
    STAMPEDE_TRY(const bool more, query.next());
    if (!more) return lines;
    lines.push_back(query.text(0));
  }
}

// What differs between the schema and that of a new catalog: all tables are made by the same steps.
Result<std::vector<std::string>> altered_schema(Database& database) {
  // quote() tells types apart too.
  constexpr auto* kSchema =
      "SELECT quote(type) || quote(name) || quote(tbl_name) || quote(sql) FROM sqlite_schema ORDER BY 1";
  STAMPEDE_TRY(Database fresh, Database::in_memory());
  STAMPEDE_CHECK(take_steps(fresh, 0));
  STAMPEDE_TRY(const auto expected, lines_of(fresh, kSchema));
  STAMPEDE_TRY(const auto found, lines_of(database, kSchema));
  std::vector<std::string> differ;
  std::ranges::set_symmetric_difference(expected, found, std::back_inserter(differ));
  return differ;
}

Result<std::vector<std::string>> SqliteCatalog::check() {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> problems;
  // Some damage ends a part of the check itself.
  const auto part = [&](const Result<std::vector<std::string>>& lines, std::string_view what) -> Result<> {
    if (!lines && lines.error().code == Code::busy) return pass(lines.error());
    if (!lines) problems.push_back(lines.error().message);
    if (lines)
      for (const auto& line : *lines)
        if (line != "ok") problems.push_back(fmt::format("the catalog is damaged: {}{}", what, line));
    return {};
  };
  STAMPEDE_CHECK(part(lines_of(database_, "PRAGMA integrity_check"), ""));
  STAMPEDE_CHECK(part(altered_schema(database_), "altered is its schema: "));
  STAMPEDE_CHECK(part(lines_of(database_, sums_check()), "rows are altered in its table "));
  // What numbers are given out by.
  STAMPEDE_CHECK(part(lines_of(database_,
                               "SELECT name FROM sqlite_sequence WHERE seq IS NOT CASE name "
                               "WHEN 'receipts' THEN (SELECT max(number) FROM receipts) "
                               "WHEN 'audit' THEN (SELECT max(number) FROM audit) END"),
                      "altered is the last number of its table "));
  return problems;
}

Result<> SqliteCatalog::audit(std::string_view actor, std::string_view action, std::string_view subject) {
  const std::lock_guard lock(mutex_);
  return write_audit(actor, action, subject);
}

Result<> SqliteCatalog::write_audit(std::string_view actor, std::string_view action, std::string_view subject) {
  return database_.run("INSERT INTO audit (at, actor, action, subject) VALUES (?1, ?2, ?3, ?4)", clock_.unix_time(), actor,
                       action, subject);
}

}  // namespace

Result<std::unique_ptr<Catalog>> Catalog::open(const std::filesystem::path& file, Clock& clock) {
  STAMPEDE_TRY(Database database, Database::open(file));
  auto catalog = std::make_unique<SqliteCatalog>(std::move(database), clock);
  STAMPEDE_CHECK(catalog->upgrade(file));
  return catalog;
}

}  // namespace stampede::cache

#include "cache/catalog_sums.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <array>
#include <vector>

#include "chunker/xxh3.h"
#include "src/base/bytes.h"

namespace stampede::cache {
namespace {

std::uint64_t hash_of(std::span<sqlite3_value*> row) {
  ByteWriter out;
  for (sqlite3_value* const column : row) {
    const int type = sqlite3_value_type(column);
    out.u8(static_cast<std::uint8_t>(type));
    if (type == SQLITE_INTEGER) {
      out.u64(static_cast<std::uint64_t>(sqlite3_value_int64(column)));
    } else if (type != SQLITE_NULL) {
      const auto* const data = static_cast<const std::byte*>(sqlite3_value_blob(column));
      const auto size = static_cast<std::size_t>(sqlite3_value_bytes(column));
      out.u64(size).raw(ByteView(data, size));
    }
  }
  return chunker::xxh3_64(out.bytes());
}

void sum_with(sqlite3_context* context, int count, sqlite3_value** values) {
  const std::span all(values, static_cast<std::size_t>(count));
  if (all.empty()) return sqlite3_result_error(context, "sum_with() of nothing", -1);
  const auto sum = static_cast<std::uint64_t>(sqlite3_value_int64(all.front())) ^ hash_of(all.subspan(1));
  sqlite3_result_int64(context, static_cast<sqlite3_int64>(sum));
}

void sum_step(sqlite3_context* context, int count, sqlite3_value** values) {
  auto* const sum = static_cast<std::uint64_t*>(sqlite3_aggregate_context(context, sizeof(std::uint64_t)));
  if (sum == nullptr) return sqlite3_result_error_nomem(context);
  *sum ^= hash_of(std::span(values, static_cast<std::size_t>(count)));
}

void sum_end(sqlite3_context* context) {
  const auto* const sum = static_cast<const std::uint64_t*>(sqlite3_aggregate_context(context, 0));
  sqlite3_result_int64(context, sum == nullptr ? 0 : static_cast<sqlite3_int64>(*sum));
}

struct Table {
  const char* name;
  std::vector<std::string_view> columns;
};

const std::vector<Table>& tables() {
  static const std::vector<Table> all{
      {"tags", {"name", "tag", "image", "parent", "record", "signer", "signature", "added", "number", "ended"}},
      {"tokens", {"secret_hash", "expires", "uses"}},
      {"nodes", {"key", "enrolled"}},
      {"token_uses", {"secret_hash", "key"}},
      {"push_tokens", {"secret_hash"}},
      {"push_nodes", {"key", "since"}},
      {"receipts", {"number", "node", "received", "verdict", "receipt", "signature"}},
      {"audit", {"number", "at", "actor", "action", "subject"}},
  };
  return all;
}

// "new.name, new.tag"
std::string list(const Table& table, std::string_view prefix = "") {
  std::vector<std::string> names;
  for (const auto column : table.columns) names.push_back(fmt::format("{}{}", prefix, column));
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

std::string sums_step() {
  std::string sql = "CREATE TABLE sums (whose TEXT PRIMARY KEY, sum INTEGER NOT NULL) STRICT;\n";
  const auto trigger = [&](const Table& table, std::string_view event, const std::string& sum) {
    sql += fmt::format(
        "CREATE TRIGGER {0}_summed_{1} AFTER {1} ON {0} BEGIN UPDATE sums SET sum = {2} WHERE whose = '{0}'; END;\n",
        table.name, event, sum);
  };
  for (const Table& table : tables()) {
    sql += fmt::format("INSERT INTO sums SELECT '{0}', sum_of({1}) FROM {0};\n", table.name, list(table));
    const std::string added = list(table, "new."), removed = list(table, "old.");
    trigger(table, "insert", fmt::format("sum_with(sum, {})", added));
    if (table.name == std::string_view("audit")) continue;  // of which nothing is changed or removed
    trigger(table, "delete", fmt::format("sum_with(sum, {})", removed));
    trigger(table, "update", fmt::format("sum_with(sum_with(sum, {}), {})", removed, added));
  }
  return sql + "PRAGMA user_version = 3;";
}

std::string sums_check() {
  std::vector<std::string> parts;
  for (const Table& table : tables())
    parts.push_back(
        fmt::format("SELECT '{0}' WHERE (SELECT sum FROM sums WHERE whose = '{0}') IS NOT (SELECT sum_of({1}) FROM {0})",
                    table.name, list(table)));
  return fmt::format("{}", fmt::join(parts, " UNION ALL "));
}

int add_sum_functions(sqlite3* database) {
  constexpr int kFlags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
  const int code =
      sqlite3_create_function_v2(database, "sum_with", -1, kFlags, nullptr, sum_with, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return code;
  return sqlite3_create_function_v2(database, "sum_of", -1, kFlags, nullptr, nullptr, sum_step, sum_end, nullptr);
}

}  // namespace stampede::cache

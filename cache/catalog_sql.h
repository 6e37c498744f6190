// SQLite as values: statements that are prepared and bound, rows that are read by column, transactions that end. Used by
// catalog.cpp alone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "src/base/bytes.h"
#include "src/base/error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace stampede::cache {

// One statement under way; columns from 0. Not thread-safe, and does not outlive its database.
class Query {
 public:
  // Moves to the next row; false after the last.
  Result<bool> next();
  std::int64_t integer(int column) const;
  std::string text(int column) const;
  Bytes blob(int column) const;
  // Fails (store_damaged) where the column has another length.
  template <std::size_t N>
  Result<std::array<std::byte, N>> array(int column) const {
    const Bytes bytes = blob(column);
    std::array<std::byte, N> out{};
    if (bytes.size() != N) return fail(Code::store_damaged, "the catalog holds {} bytes instead of {}", bytes.size(), N);
    std::memcpy(out.data(), bytes.data(), N);
    return out;
  }

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  Query(sqlite3* database, sqlite3_stmt* statement) : database_(database), statement_(statement) {}
  Result<> bind(int index, std::int64_t value);
  Result<> bind(int index, std::string_view value);
  Result<> bind(int index, ByteView value);
  Result<> done(int code) const;

  sqlite3* database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

class Database {
 public:
  Database(Database&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Database& operator=(Database&&) = delete;
  ~Database();

  // Opens or makes the file (mode 0600), in WAL mode with full synchronisation, waiting 5 s where it is busy.
  static Result<Database> open(const std::filesystem::path& file);
  static Result<Database> in_memory();

  // `sql` is always a constant; what it is about is bound to its parameters ?1, ?2, … in order.
  template <std::size_t N, class... Values>
  Result<Query> query(const char (&sql)[N], const Values&... values) {
    STAMPEDE_TRY(Query query, prepare(sql));
    Result<> bound;
    int index = 0;
    (..., (bound = bound ? query.bind(++index, values) : bound));
    if (!bound) return pass(bound.error());
    return query;
  }
  // For one that is put together of constants.
  Result<Query> query_made(const std::string& sql) { return prepare(sql); }
  // For statements without rows.
  template <std::size_t N, class... Values>
  Result<> run(const char (&sql)[N], const Values&... values) {
    STAMPEDE_TRY(Query query, this->query(sql, values...));
    STAMPEDE_TRY(bool more, query.next());
    while (more) {
      STAMPEDE_TRY(more, query.next());
    }
    return {};
  }
  // Several statements in one constant.
  Result<> script(const char* sql);
  std::int64_t last_row() const;

 private:
  explicit Database(sqlite3* handle) : handle_(handle) {}
  Result<Query> prepare(std::string_view sql);
  sqlite3* handle_;
};

// BEGIN IMMEDIATE; rolled back unless committed.
class Transaction {
 public:
  static Result<Transaction> begin(Database& database);
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  Result<> commit();

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  Database* database_;
};

}  // namespace stampede::cache

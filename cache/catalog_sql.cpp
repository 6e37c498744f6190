#include "cache/catalog_sql.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>

#include <cerrno>

#include "cache/catalog_sums.h"
#include "src/base/file.h"

namespace stampede::cache {
namespace {

// Less than targets wait for a sign of life from a depot (8 s), which asks the catalog on its loop too.
constexpr int kBusyMilliseconds = 5'000;

Code code_for(int sqlite) {
  switch (sqlite & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Code::busy;
    case SQLITE_FULL:
      return Code::no_space;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Code::store_damaged;
    case SQLITE_IOERR:
      return Code::write_failed;
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return Code::read_only;
    case SQLITE_CANTOPEN:
      return Code::usage;
    default:
      return Code::internal;
  }
}

std::unexpected<Error> failed(sqlite3* database, int code) {
  const char* const file = sqlite3_db_filename(database, "main");
  const std::string what = fmt::format("catalog {}: {}", file != nullptr ? file : "", sqlite3_errmsg(database));
  // Where the kernel had something against it SQLite has a general word alone; and of files that it could not make not even
  // the kernel's, since it tries something else then.
  const int error = sqlite3_system_errno(database);
  if ((code & 0xff) == SQLITE_CANTOPEN)
    return fail(Code::write_failed, "{}, or one beside it: is the disk full or failing, and may its folder be written?",
                what);
  if ((code & 0xff) != SQLITE_IOERR || error == 0) return fail(code_for(code), "{}", what);
  const bool full = error == ENOSPC || error == EDQUOT;
  return fail(full ? Code::no_space : code_for(code), "{}: {}", what, errno_text(error));
}

// Made here and not by SQLite so that it is never readable for others. Only where it does not exist: closing a descriptor
// of a database that this process has open would drop SQLite's locks on it.
Result<> make_file(const std::filesystem::path& file) {
  std::error_code ignored;
  if (std::filesystem::exists(file, ignored)) return {};
  STAMPEDE_TRY(const File made, File::open(file, O_RDWR | O_CREAT | O_EXCL));
  return {};
}

}  // namespace

void Query::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Result<> Query::done(int code) const {
  if (code == SQLITE_OK) return {};
  return failed(database_, code);
}

Result<> Query::bind(int index, std::int64_t value) { return done(sqlite3_bind_int64(statement_.get(), index, value)); }

Result<> Query::bind(int index, std::string_view value) {
  return done(sqlite3_bind_text64(statement_.get(), index, value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}

Result<> Query::bind(int index, ByteView value) {
  // A null pointer would bind NULL.
  const void* const data = value.empty() ? "" : static_cast<const void*>(value.data());
  return done(sqlite3_bind_blob64(statement_.get(), index, data, value.size(), SQLITE_TRANSIENT));
}

Result<bool> Query::next() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return failed(database_, code);
}

std::int64_t Query::integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }

std::string Query::text(int column) const { return std::string(as_text(blob(column))); }

Bytes Query::blob(int column) const {
  const auto* const data = static_cast<const std::byte*>(sqlite3_column_blob(statement_.get(), column));
  return {data, data + sqlite3_column_bytes(statement_.get(), column)};
}

Database::~Database() { sqlite3_close_v2(handle_); }

Result<Database> Database::open(const std::filesystem::path& file) {
  // Two processes that switch a new database to WAL at once would fail each other; SQLite does not wait there.
  const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : ".";
  STAMPEDE_TRY(const File lock, File::open(folder, O_RDONLY | O_DIRECTORY));
  if (::flock(lock.fd(), LOCK_EX) != 0) return fail(Code::usage, "cannot lock {}: {}", folder.string(), errno_text(errno));
  STAMPEDE_CHECK(make_file(file));

  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(file.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  Database database(handle);
  if (code != SQLITE_OK) return failed(handle, code);
  sqlite3_busy_timeout(handle, kBusyMilliseconds);
  if (const int made = add_sum_functions(handle); made != SQLITE_OK) return failed(handle, made);
  STAMPEDE_CHECK(database.script("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"));
  return database;
}

Result<Database> Database::in_memory() {
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(":memory:", &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  Database database(handle);
  if (code != SQLITE_OK) return failed(handle, code);
  if (const int made = add_sum_functions(handle); made != SQLITE_OK) return failed(handle, made);
  return database;
}

Result<> Database::script(const char* sql) {
  const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return failed(handle_, code);
  return {};
}

Result<Query> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v2(handle_, sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  if (code != SQLITE_OK) return failed(handle_, code);
  return Query(handle_, statement);
}

std::int64_t Database::last_row() const { return sqlite3_last_insert_rowid(handle_); }

Result<Transaction> Transaction::begin(Database& database) {
  STAMPEDE_CHECK(database.script("BEGIN IMMEDIATE"));
  return Transaction(database);
}

Transaction::~Transaction() {
  // Nothing was promised yet: should even this fail, the next statement says so.
  if (database_ != nullptr) (void)database_->script("ROLLBACK");
}

Result<> Transaction::commit() {
  STAMPEDE_CHECK(database_->script("COMMIT"));
  database_ = nullptr;
  return {};
}

}  // namespace stampede::cache

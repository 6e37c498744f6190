// A catalog in a fresh folder, records to put into it, and a look into its file.
#pragma once

#include <sqlite3.h>

#include "cache/catalog.h"
#include "tests/cache/store_fixture.h"

namespace stampede::cache {

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

inline KeyBytes key(std::uint64_t number) { return id_of(number).digest; }

inline chunker::TagRecord tag(std::string_view name, std::uint64_t image) {
  chunker::TagRecord record;
  record.name = *chunker::ImageName::parse(name);
  record.image = {id_of(image).digest};
  return record;
}

inline chunker::SignedTagRecord sign(const chunker::TagRecord& record) {
  chunker::SignedTagRecord out{.record = encode(record), .signer = key(100), .signature = {}};
  out.signature[63] = std::byte{9};
  return out;
}

// Looks into the file beside the catalog; returns the first column of the first row, or SQLite's error.
inline std::string sql(const std::filesystem::path& file, const char* text) {
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

}  // namespace stampede::cache

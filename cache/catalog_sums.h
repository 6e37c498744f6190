// Sums over the catalog's rows, by which a check notices a bit that was flipped: SQLite has none of its own. For each table
// the XOR of its rows' XXH3-64, in the table "sums", kept up to date by triggers in the transaction of every change.
#pragma once

#include <string>

struct sqlite3;

namespace stampede::cache {

// Makes known to a connection, for those triggers and the check:
//   sum_with(sum, column…)   the sum with that row added; or taken away, which is the same
//   sum_of(column…)          aggregate: of all rows; 0 of none
// A row is hashed as its columns, each a byte of type (SQLite's number of it), for text and blobs their length (u64), and
// the bytes (an integer: 8; little-endian). Returns SQLite's code.
int add_sum_functions(sqlite3* database);

// SQL that makes the sums and triggers of version 3 of the catalog. A step to a later version that adds a table or a column
// makes those of that table anew.
std::string sums_step();
// SQL that gives the names of the tables whose rows are not those that they were summed up of.
std::string sums_check();

}  // namespace stampede::cache

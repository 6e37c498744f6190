// The catalog's tables (PRAGMA user_version is their version), as the steps from each version to the next, from an empty
// file on. A later version adds its step; none is ever rewritten.
#pragma once

#include <array>
#include <string>

#include "cache/catalog_sums.h"

namespace stampede::cache {

inline constexpr const char* kCatalogStep1 = R"sql(
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
PRAGMA user_version = 1;
)sql";

// 2: a name can end, or become another image; tokens whose keys may push images, and the keys that used one.
inline constexpr const char* kCatalogStep2 = R"sql(
ALTER TABLE tags ADD COLUMN ended INTEGER NOT NULL DEFAULT 0;  -- when a record ceased to count; 0: it does
UPDATE tags SET ended = max(1, (
    SELECT later.added FROM tags AS later WHERE later.name = tags.name AND later.tag = tags.tag
    AND later.number > tags.number ORDER BY later.number LIMIT 1))
  WHERE EXISTS (
    SELECT 1 FROM tags AS later WHERE later.name = tags.name AND later.tag = tags.tag AND later.number > tags.number);
CREATE UNIQUE INDEX tags_that_count ON tags (name, tag) WHERE ended = 0;
CREATE INDEX tags_by_image ON tags (image);
CREATE TABLE push_tokens (
  secret_hash BLOB PRIMARY KEY REFERENCES tokens) STRICT;
CREATE TABLE push_nodes (
  key BLOB PRIMARY KEY REFERENCES nodes, since INTEGER NOT NULL) STRICT;
PRAGMA user_version = 2;
)sql";

// 3: sums over the rows of each table (catalog_sums.h).
inline constexpr long kCatalogVersion = 3;
inline std::array<std::string, kCatalogVersion> catalog_steps() { return {kCatalogStep1, kCatalogStep2, sums_step()}; }

// Made where they are missing. They hold nothing of their own, so they are no step to another version.
inline constexpr const char* kCatalogIndexes = R"sql(
CREATE INDEX IF NOT EXISTS receipts_by_node ON receipts (node);
CREATE INDEX IF NOT EXISTS receipts_by_disk ON receipts (
  CASE WHEN json_valid(CAST(receipt AS TEXT)) THEN json_extract(CAST(receipt AS TEXT), '$.disk.guid') END,
  CASE WHEN json_valid(CAST(receipt AS TEXT)) THEN json_extract(CAST(receipt AS TEXT), '$.disk.serial') END)
  WHERE verdict = 'success';
)sql";

}  // namespace stampede::cache

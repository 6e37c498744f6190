// The catalog's tables, version 1 (PRAGMA user_version). A later version adds its steps here; none is ever rewritten.
#pragma once

namespace stampede::cache {

inline constexpr long kCatalogVersion = 1;

inline constexpr const char* kCatalogSchema = R"sql(
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

// Made where they are missing. They hold nothing of their own, so they are no step to another version.
inline constexpr const char* kCatalogIndexes = R"sql(
CREATE INDEX IF NOT EXISTS receipts_by_node ON receipts (node);
CREATE INDEX IF NOT EXISTS receipts_by_disk ON receipts (
  CASE WHEN json_valid(CAST(receipt AS TEXT)) THEN json_extract(CAST(receipt AS TEXT), '$.disk.guid') END,
  CASE WHEN json_valid(CAST(receipt AS TEXT)) THEN json_extract(CAST(receipt AS TEXT), '$.disk.serial') END)
  WHERE verdict = 'success';
)sql";

}  // namespace stampede::cache

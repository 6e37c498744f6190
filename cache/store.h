// The store of a depot: packs (sealed chunks), their index, and the catalog. A crash never loses or alters a chunk that was
// committed.
//
//   <folder>/version        "stampede store 1\n"; a newer number is refused (store_too_new)
//   <folder>/keys/          0700: ca.key ca.crt depot.key depot.crt signing.key (made by src/service and the tools)
//   <folder>/packs/<64 hex>.pack      closed and immutable, named by the SHA-256 of its footer
//   <folder>/packs/<random>.open      being written; flock()ed by its writer
//   <folder>/catalog.sqlite           see catalog.h
//
// Locking: any number of processes read and write one store at once. A pack is published by rename, so readers see whole
// packs; a reader that misses a chunk, or cannot read it, looks once for packs that are new or were replaced. An .open pack
// whose lock is free belongs to a process that died: open() recovers it (its sound records are kept and published, the torn
// tail is cut). Catalog writes are SQLite transactions.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "cache/catalog.h"
#include "chunker/source.h"
#include "src/base/error.h"
#include "src/base/seams.h"

namespace stampede::cache {

// Takes an import's chunks. What was put is durable and visible to others after commit(); without commit() it is recovered
// or discarded later. put() is thread-safe.
class ImportSession : public chunker::ChunkSink {
 public:
  virtual Result<> commit() = 0;
};

struct StoreCheck {
  std::uint64_t packs = 0;
  std::uint64_t chunks = 0;
  std::uint64_t bytes = 0;            // sealed
  std::vector<std::string> problems;  // a line each: what, where, and what it affects
};

class Store {
 public:
  // Makes the store where there is none. Errors: usage, store_too_new, store_damaged.
  static Result<std::unique_ptr<Store>> open(const std::filesystem::path& folder, Clock& clock);
  virtual ~Store() = default;

  virtual const std::filesystem::path& folder() const = 0;
  virtual Catalog& catalog() = 0;
  virtual chunker::ChunkSource& chunks() = 0;
  virtual Result<std::unique_ptr<ImportSession>> begin_import() = 0;
  // What open() recovered, for the log; empty where there was nothing.
  virtual const std::vector<std::string>& recovered() const = 0;
  // Every pack: footer, headers, XXH3, and with all cores every chunk opened and re-hashed.
  virtual Result<StoreCheck> check_packs(const std::function<void(Size done, Size total)>& progress) = 0;
};

// Sealed spans of one image from a store: what a depot serves. Thread-safe. `source` outlives it.
std::unique_ptr<chunker::SpanSource> spans_from(std::shared_ptr<const chunker::Manifest> manifest,
                                                chunker::ChunkSource& source);

}  // namespace stampede::cache

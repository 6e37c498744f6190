// The store of a depot: packs (sealed chunks), their index, and the catalog. A crash never loses or alters a chunk that was
// committed.
//
//   <folder>/version        "stampede store 1\n"; a newer number is refused (store_too_new)
//   <folder>/keys/          0700: ca.key ca.crt depot.key depot.crt signing.key (made by src/service and the tools)
//   <folder>/packs/<64 hex>.pack      closed and immutable, named by the SHA-256 of its footer
//   <folder>/packs/<random>.open      being written; flock()ed by its writer
//   <folder>/damaged/<64 hex>.pack    what was found damaged and is not read any more (`store repair`)
//   <folder>/catalog.sqlite           see catalog.h
//   <folder>/leases/                  who relies on what, see below; nothing in it outlives its process
//
// Locking: any number of processes read and write one store at once. A pack is published by rename, so readers see whole
// packs; a reader that misses a chunk, or cannot read it, looks once for packs that are new or were replaced. An .open pack
// whose lock is free belongs to a process that died: open() recovers it. Catalog writes are SQLite transactions.
//
// What is written in which order, so that a crash or a loss of power at any moment costs nothing that was acknowledged:
//   a new store   its folder and those above that are missing, each flushed into its parent; version (a file beside it,
//                 flushed, renamed, folder flushed); packs/ and keys/; the store's folder flushed. Then the catalog.
//   an import     1. sealed chunks are appended to an .open pack
//                 2. when it is full and at the end: the footer; fdatasync; rename to its name; fsync of packs/. Where
//                    nothing was new packs/ is flushed all the same: what was there may have been named just now by somebody
//                    else.
//                 3. commit() returns: every chunk of the image, its manifest included, is durable
//                 4. one catalog transaction adds the tag record (SQLite: WAL, synchronous=FULL)
//                 5. only then is the image acknowledged; so whoever sees a name finds all of its chunks
//   a key         flushed under another name, then linked, so that none is ever replaced; a signer is accepted before
//                 its key is there
// What is left of a crash: before 2 an .open pack, whose records each prove themselves: open() cuts it after the last sound
// one and publishes it as in 2 (recovered() says so), or removes it where there is none. Between 2 and 4 packs to which
// nothing refers: harmless, found by the next import, or garbage. During 4 SQLite takes its transaction back or completes
// it. Tests: tests/e2e/store-powerloss.sh, store-kill9.sh, tests/service/store_faults_test.cpp.
//
// Garbage is what no image needs that a tag record speaks of (history too), or a lease. One process at a time collects it (a
// lock in leases/):
//
//   1. It marks what is needed, and chooses packs to go: of much garbage, and older than the grace time.
//   2. It names them in leases/condemned.
//   3. It waits until every import has ended that was under way then, and marks again what was tagged or leased meanwhile.
//   4. It copies what is needed out of those packs into new ones. When a new pack is durable under its name, those that were
//      copied into it are unlinked. Who has one of them open reads on, who misses a chunk looks for new packs.
//   5. It removes leases/condemned.
//
// An import relies on chunks that no tag names yet: those that the store had already, and its own. It takes a lease, then
// reads leases/condemned, then looks which packs there are; and keeps the lease until its tag is in the catalog. A
// collection that does not see its lease has condemned its packs before, so the import sees that and stores their chunks
// anew; one that does see it waits, and then sees the tag.
//
// Who uses an image whose tag may be removed meanwhile (a depot that deploys it), or gives one a tag without an import,
// takes a lease on the image, then looks whether a tag still names it. A collection reads the tags before the leases: what
// one finds gone, the other was in time for.
//
// A pack may be put in place under the name of one that is about to be unlinked (the same chunks again); both is done under
// a lock on packs/, and only the file that was chosen is unlinked. After a crash at any point nothing is lacking: chunks may
// be there twice, and leases/condemned is one that only makes imports store more.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "cache/catalog.h"
#include "cache/gc.h"
#include "cache/lease.h"
#include "cache/stats.h"
#include "chunker/source.h"
#include "src/base/error.h"
#include "src/base/seams.h"

namespace stampede::cache {

// Takes an import's chunks. What was put is durable and visible to others after commit(); without commit() it is recovered
// or discarded later. Keeps what it has, or found there, from the garbage collection until it is destroyed: not before the
// tag that needs it is in the catalog. put() is thread-safe.
class ImportSession : public chunker::ChunkSink {
 public:
  virtual Result<> commit() = 0;
};

// A chunk that a pack should hold and does not give as it was put.
struct BadChunk {
  chunker::ChunkId id;
  std::string pack;  // its file's name
  std::string what;
};
// So many are told one by one, which is all of a pack's; of the others the number.
inline constexpr std::size_t kMaxBadChunks = std::size_t{1} << 18;

struct StoreCheck {
  std::uint64_t packs = 0;
  std::uint64_t chunks = 0;
  std::uint64_t bytes = 0;  // sealed
  std::uint64_t read = 0;   // of them, this time
  bool complete = true;     // whether all of them have been read, in this run or in those that it went on with
  std::vector<BadChunk> bad;
  std::uint64_t more_bad = 0;
  std::vector<std::string> problems;  // of packs, a line each: what, and where
};

struct CheckOptions {
  // The share of the packs' data that is read: below 100 another one each time, so that 100 / percent runs read all of it.
  // Footers are checked every time.
  unsigned percent = 100;
  bool from_start = false;                                   // does not go on with a check that was interrupted
  std::function<void(Size done, Size total)> progress = {};  // about ten times a second, from the calling thread
  std::function<bool()> interrupted = {};                    // asked from several threads: true ends it with `interrupted`
};

// What became of a damaged pack.
struct Salvaged {
  std::uint64_t chunks = 0;        // that were sound
  Size bytes;                      // sealed, of them
  std::vector<std::string> packs;  // they are in now, durably
  std::filesystem::path aside;     // where the pack itself is; empty where a new one took its place (its footer was bad)
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
  // Keeps an image from the garbage collection; see above. Errors: usage, no_space.
  virtual Result<Lease> lease(const chunker::ImageId& image) = 0;
  // Looks for packs that are new or were removed: who keeps a store open does so now and then, or the space of removed ones
  // is not given back. Errors: usage.
  virtual Result<> refresh() = 0;
  // See gc.h.
  virtual Result<GcReport> collect_garbage(const GcOptions& options) = 0;
  // See stats.h.
  virtual Result<StoreStats> stats(const StatsOptions& options) = 0;
  // What open() recovered, for the log; empty where there was nothing.
  virtual const std::vector<std::string>& recovered() const = 0;
  // Whether a pack that is known by now has it: for those who ask for every chunk of an image (chunks().has() looks for new
  // packs whenever it misses).
  virtual bool knows(const chunker::ChunkId& id) const = 0;
  // Every pack: footer, headers, XXH3, and with all cores every chunk opened and re-hashed, from the disk. An interrupted
  // check is gone on with; how far it came stands in the files check-state and check-share of the folder. Memory: a pack's
  // entries (14 MiB), 2 buffers of the largest object for each core, kMaxBadChunks.
  virtual Result<StoreCheck> check_packs(const CheckOptions& options) = 0;
  // The names of packs that cannot be opened since they are damaged.
  virtual Result<std::vector<std::string>> damaged_packs() = 0;
  // Puts what is sound in a damaged pack into new ones, and moves it to <folder>/damaged, where nothing is ever removed.
  virtual Result<Salvaged> salvage(const std::string& pack) = 0;
};

// Sealed spans of one image from a store: what a depot serves. Thread-safe. `source` outlives it.
std::unique_ptr<chunker::SpanSource> spans_from(std::shared_ptr<const chunker::Manifest> manifest,
                                                chunker::ChunkSource& source);

}  // namespace stampede::cache

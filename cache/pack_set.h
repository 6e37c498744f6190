// The closed packs of a store, by which chunks are found. Thread-safe.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <vector>

#include "cache/lease.h"
#include "cache/pack_view.h"

namespace stampede::cache {

class PackSet final : public chunker::ChunkSource {
 public:
  // Opens what is in `folder`. A damaged pack does not fail it: see damaged().
  static Result<std::shared_ptr<PackSet>> open(const std::filesystem::path& folder);

  // A miss, and a chunk that cannot be read, look for new and replaced packs once, and every copy is tried. Errors:
  // not_found; store_damaged, read_failed, also where the chunk may be in a pack that cannot be opened.
  Result<chunker::SealedChunk> get(const chunker::ChunkId& id) override;
  Result<chunker::SealedSpan> gather(std::span<const chunker::SpanChunk> chunks) override;
  bool has(const chunker::ChunkId& id) override;

  // Like has(), but does not look for new packs, and packs of these names do not count: for imports.
  bool knows(const chunker::ChunkId& id, const PackNames& without = {}) const;
  // The same of many, in their order.
  std::vector<bool> know(std::span<const chunker::ChunkId> ids, const PackNames& without = {}) const;
  // The packs as they are known now.
  std::shared_ptr<const PackView> view() const;
  // Takes in packs that appeared in the folder or were replaced, and lets go of those that were removed. What could not be
  // opened for a reason that may pass is tried again. Errors: usage; busy, for too many chunks.
  Result<> refresh();
  // Takes in a pack that this process has just published.
  Result<> add(const std::filesystem::path& path);
  // What is wrong with the packs that could not be opened, a line each.
  std::vector<Error> damaged() const;

 private:
  struct Known {
    std::string name;
    FileStamp stamp;                   // of the file that was opened, or could not be
    std::shared_ptr<const Pack> pack;  // none: not to be had, for the error's reason
    Error error;
  };
  struct Opened {
    std::optional<Known> known;  // nothing: it is not there any more
    std::optional<PackView::Added> added;
  };

  explicit PackSet(std::filesystem::path folder) : folder_(std::move(folder)), view_(std::make_shared<const PackView>()) {}
  static bool knows(const PackView& view, const chunker::ChunkId& id, const PackNames& without);
  static Opened open_pack(const std::filesystem::path& path);
  Result<> take_in(const std::vector<std::string>& names, std::vector<Known> kept);
  Result<bool> look();
  Result<chunker::SealedChunk> read_any(const chunker::ChunkId& id) const;
  Error missing(const chunker::ChunkId& id) const;
  // Where each chunk lies; the packs stay open with `held`.
  Result<std::vector<Place>> places(std::span<const chunker::SpanChunk> chunks, std::shared_ptr<const PackView>& held);

  const std::filesystem::path folder_;
  std::mutex refreshing_;            // held by who changes what follows, one at a time
  mutable std::shared_mutex mutex_;  // guards it; a view itself never changes
  std::shared_ptr<const PackView> view_;
  std::vector<Known> known_;
};

}  // namespace stampede::cache

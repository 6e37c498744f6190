// Writes an import's chunks into packs; see store.h. Not for other rooms.
#pragma once

#include <mutex>
#include <optional>
#include <unordered_set>

#include "cache/lease.h"
#include "cache/pack_set.h"
#include "cache/pack_writer.h"
#include "cache/store.h"

namespace stampede::cache {

// A pack that is full is published at once: its chunks are complete and harmless, and a later import finds them.
class PackSession final : public ImportSession {
 public:
  PackSession(std::filesystem::path folder, std::shared_ptr<PackSet> packs, Lease lease, PackNames condemned)
      : folder_(std::move(folder)), packs_(std::move(packs)), lease_(std::move(lease)), condemned_(std::move(condemned)) {}

  bool has(const chunker::ChunkId& id) override;
  std::vector<bool> have(std::span<const chunker::ChunkId> ids) override;
  Result<> put(chunker::SealedChunk chunk) override;
  Result<> commit() override;

 private:
  Result<> append(const chunker::SealedChunk& chunk);
  Result<> publish();
  Result<> keep(Result<> result);

  const std::filesystem::path folder_;
  const std::shared_ptr<PackSet> packs_;
  const Lease lease_;
  const PackNames condemned_;  // when the session began: what is in them is stored again
  std::mutex writing_;         // guards writer_ and broken_; held while a pack is flushed
  std::unique_ptr<PackWriter> writer_;
  std::optional<Error> broken_;               // after a failed write nothing more is taken
  std::mutex mutex_;                          // guards own_, and nothing is waited for under it
  std::unordered_set<chunker::ChunkId> own_;  // in the pack that is being written
};

}  // namespace stampede::cache

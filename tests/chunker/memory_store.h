// A sink and source of chunks in memory.
#pragma once

#include <map>
#include <mutex>

#include "chunker/source.h"

namespace stampede::testing {

class MemoryStore : public chunker::ChunkSink, public chunker::ChunkSource {
 public:
  bool has(const chunker::ChunkId& id) override {
    const std::lock_guard lock(mutex_);
    return chunks.contains(id);
  }
  Result<> put(chunker::SealedChunk chunk) override {
    const std::lock_guard lock(mutex_);
    if (puts_left == 0) return fail(Code::no_space, "full");
    --puts_left;
    chunks.try_emplace(chunk.id, chunk);
    return {};
  }
  Result<chunker::SealedChunk> get(const chunker::ChunkId& id) override {
    const std::lock_guard lock(mutex_);
    const auto found = chunks.find(id);
    if (found == chunks.end()) return fail(Code::not_found, "no chunk {}", to_string(id));
    return found->second;
  }

  std::map<chunker::ChunkId, chunker::SealedChunk> chunks;
  std::size_t puts_left = SIZE_MAX;

 private:
  std::mutex mutex_;
};

}  // namespace stampede::testing

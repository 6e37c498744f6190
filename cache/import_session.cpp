#include "cache/import_session.h"

namespace stampede::cache {

bool PackSession::has(const chunker::ChunkId& id) {
  {
    const std::lock_guard lock(mutex_);
    if (own_.contains(id)) return true;
  }
  return packs_->knows(id, condemned_);
}

std::vector<bool> PackSession::have(std::span<const chunker::ChunkId> ids) {
  std::vector<bool> own(ids.size());
  {
    // First: a chunk leaves own_ when the packs have it.
    const std::lock_guard lock(mutex_);
    if (!own_.empty())
      for (std::size_t i = 0; i < ids.size(); ++i) own[i] = own_.contains(ids[i]);
  }
  std::vector<bool> have = packs_->know(ids, condemned_);
  for (std::size_t i = 0; i < ids.size(); ++i) have[i] = have[i] || own[i];
  return have;
}

Result<> PackSession::put(chunker::SealedChunk chunk) {
  const std::lock_guard lock(writing_);
  if (broken_) return pass(*broken_);
  if (has(chunk.id)) return {};
  return keep(append(chunk));
}

Result<> PackSession::commit() {
  const std::lock_guard lock(writing_);
  if (broken_) return pass(*broken_);
  // A chunk that was there already may be in a pack that another process has only just named: that name is flushed too.
  if (!writer_) return keep(sync_folder(folder_));
  return keep(publish());
}

// Remembers an error, and gives back the space of what cannot be published any more.
Result<> PackSession::keep(Result<> result) {
  if (result) return result;
  broken_ = result.error();
  writer_.reset();
  const std::lock_guard lock(mutex_);
  own_.clear();
  return result;
}

Result<> PackSession::append(const chunker::SealedChunk& chunk) {
  if (!writer_) {
    STAMPEDE_TRY(writer_, PackWriter::create(folder_));
  }
  STAMPEDE_CHECK(writer_->append(chunk));
  {
    const std::lock_guard lock(mutex_);
    own_.insert(chunk.id);
  }
  if (writer_->is_full()) return publish();
  return {};
}

Result<> PackSession::publish() {
  STAMPEDE_TRY(const std::filesystem::path path, writer_->publish());
  writer_.reset();
  STAMPEDE_CHECK(packs_->add(path));
  const std::lock_guard lock(mutex_);
  own_.clear();
  return {};
}

}  // namespace stampede::cache

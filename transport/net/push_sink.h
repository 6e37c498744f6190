// Chunks on their way into a depot: where an import or a store puts them, and the depot packs them. Asked in batches what it
// lacks; several frames of chunks are under way.
//
// A line that breaks is dialled again within the node's patience, and the push goes on where it was: what the depot has
// packed it does not ask for again.
//
// Memory: kPushSenders frames under way and as many that wait, of kPushFrame sealed bytes and at most one chunk more each,
// twice that while they are encoded: 10 MiB; and the ids of what was lacked and is not kept yet.
//
// Thread-safe, but for open(), flush() and finish(), which belong to one thread; the node outlives it.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <thread>

#include "chunker/source.h"
#include "chunker/tag_record.h"
#include "transport/net/node.h"

namespace stampede::net {

// Four of them stay below what a connection queues (kQueueLimit).
inline constexpr std::size_t kPushFrame = std::size_t{384} << 10;
inline constexpr std::size_t kPushSenders = 4;

class PushSink final : public chunker::ChunkSink {
 public:
  PushSink(Node& node, wire::PushStart start);
  // What is not sent yet is dropped.
  ~PushSink() override;
  PushSink(const PushSink&) = delete;
  PushSink& operator=(const PushSink&) = delete;

  // Errors: those of PushIntake::start() at the depot, and of the line.
  Result<> open();
  // Which of these (kMaxOffer at most) the depot lacks and nobody has put here.
  Result<std::vector<bool>> lacking(std::span<const chunker::ChunkId> ids);
  // An error says yes here, and comes from put() or flush().
  bool has(const chunker::ChunkId& id) override;
  // Waits while kPushSenders frames wait. Errors: usage, for a chunk that no frame takes; those of the line and the depot.
  Result<> put(chunker::SealedChunk chunk) override;
  // All that was put is kept by the depot.
  Result<> flush();
  // How often the push was begun. A depot that was killed may lack of what it had kept the last that came: who finds the
  // push begun again puts everything once more, and only what is lacking is sent.
  std::uint64_t begun() const;
  // Begins it again after an end that failed; all is flushed.
  Result<> restart() { return begin(); }
  // Ends the push: all is flushed. Where the depot is to sign, the signature is left out. The record as the depot has it.
  Result<chunker::SignedTagRecord> finish(const chunker::SignedTagRecord& record);

  // The image, as soon as it is known: a push that is begun again says so.
  void set_image(const chunker::ImageId& image);
  // What ended the push: has() says yes to all from then on.
  std::optional<Error> failed() const {
    const std::lock_guard lock(mutex_);
    return broken_;
  }
  Size sent() const;  // sealed bytes that the depot has kept
  std::uint64_t chunks() const;

 private:
  enum class State : std::uint8_t { lacked, put };
  Result<wire::Message> ask(const wire::Message& message);
  Result<> begin();
  Result<> begin_again(std::uint64_t generation);
  Result<> offer_again(std::span<const wire::Digest> ids);
  Result<> offer_new(const wire::PushOffer& offer);
  bool fits(const chunker::SealedChunk& chunk) const;
  void work();
  void kept(const wire::PushChunks& frame);
  void submit_open();
  void break_with(const Error& error);

  Node& node_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  wire::PushStart start_;
  std::map<wire::Digest, State> wanted_;  // lacked by the depot, and not kept yet
  wire::PushChunks open_;                 // its bytes are in open_bytes_
  Bytes open_bytes_;
  std::size_t open_plain_ = 0;
  std::deque<wire::PushChunks> waiting_;
  std::size_t under_way_ = 0;
  std::uint64_t generation_ = 0;  // how often the push was begun
  Size sent_;
  std::uint64_t chunks_ = 0;
  std::optional<Error> broken_;
  bool stopping_ = false;
  std::shared_mutex asking_;  // held alone by who begins the push again
  std::vector<std::thread> senders_;
};

}  // namespace stampede::net

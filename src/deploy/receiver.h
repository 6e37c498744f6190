// The inbox of a deployment: every span, whatever path brought it, is opened and verified on a worker into a registered slab
// and handed to the disk from there. A span that does not verify goes back to the feed (the node, which drops who sent it).
//
// Memory: spans waiting for a worker are bounded by the credit given to the feed: at most the target's slabs.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "chunker/seal.h"
#include "src/base/queue.h"
#include "src/deploy/held_spans.h"
#include "src/deploy/moves.h"
#include "src/deploy/plan.h"

namespace stampede::deploy {

class Receiver final : public chunker::SpanInbox {
 public:
  // `placed`: the spans that are in their places already. `sources`: what moves have yet to read; it outlives this, and
  // no move is carried out beyond stop().
  Receiver(Plan& plan, disk::Target& target, Sources& sources, HeldSpans& held, chunker::SpanFeed& feed, Bitmap placed,
           unsigned workers);
  ~Receiver() override { stop(); }
  // Ends the workers; what still arrives is dropped and the feed is no longer called. Then the target can go, then the feed.
  void stop();

  void deliver(chunker::SealedSpan span, chunker::Origin origin) override;

  // Plain bytes verified so far.
  Size verified() const { return {verified_.load(std::memory_order_relaxed)}; }
  // After the target's begin(): has it name in its journal what has been placed. Until stop().
  Result<> keep_journal();
  // Tells the feed of all the credit that there is. What is told otherwise may be overtaken by what was true before.
  void give_credit();
  // Somebody else has placed it, and its writes have ended: the journal may name it.
  void was_placed(chunker::SpanIndex span);
  // The spans that are in their places.
  Bitmap placed() const;
  // The first error of the disk, if there was one.
  std::optional<Error> failure() const;

 private:
  struct Arrival {
    chunker::SealedSpan span;
    chunker::Origin origin;
  };
  void work();
  // Nothing that it brings goes where a move has yet to read.
  bool may_be_placed(const chunker::SealedSpan& span) const;
  // Back, or kept until it may be placed.
  std::optional<Arrival> unless_parked(Arrival arrival);
  void unpark();
  disk::Slab wait_for_slab();
  void handle(chunker::Opener& opener, Arrival arrival);
  bool has_unseen_parts(const chunker::SealedSpan& span) const;
  Result<std::vector<disk::Placement>> open(chunker::Opener& opener, const chunker::SealedSpan& sealed, MutableBytes slab);
  void written(chunker::SpanIndex span, const Result<>& result);

  Plan& plan_;
  disk::Target& target_;
  Sources& sources_;
  HeldSpans& held_;
  chunker::SpanFeed& feed_;
  std::atomic<std::uint64_t> verified_ = 0;

  Queue<Arrival> queue_;
  std::mutex parking_;
  std::vector<Arrival> parked_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;  // a slab is free
  std::optional<Error> failure_;
  Bitmap placed_;  // spans whose writes have ended, and those that were there
  std::uint32_t slabs_;
  std::uint32_t writing_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace stampede::deploy

#include "src/deploy/receiver.h"

namespace stampede::deploy {

Receiver::Receiver(Plan& plan, disk::Target& target, HeldSpans& held, net::Node& node, unsigned workers)
    : plan_(plan), target_(target), held_(held), node_(node), slabs_(target.free_slabs()) {
  target_.on_slab_free([this] { wake_.notify_all(); });
  for (unsigned i = 0; i < workers; ++i) workers_.emplace_back([this] { work(); });
}

void Receiver::stop() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopping_, true)) return;
  }
  wake_.notify_all();
  for (auto& worker : workers_) worker.join();
  target_.on_slab_free({});
}

void Receiver::deliver(chunker::SealedSpan span, chunker::Origin origin) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back({std::move(span), std::move(origin)});
  }
  wake_.notify_one();
}

std::optional<Error> Receiver::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void Receiver::work() {
  chunker::Opener opener;
  while (true) {
    Arrival arrival;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      arrival = std::move(queue_.front());
      queue_.pop_front();
    }
    handle(opener, std::move(arrival));
  }
}

// The credit keeps spans within slabs, so this seldom waits.
disk::Slab Receiver::wait_for_slab() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (auto slab = target_.try_slab()) return slab;
    wake_.wait_for(lock, std::chrono::milliseconds(20));
  }
  return {};
}

void Receiver::handle(chunker::Opener& opener, Arrival arrival) {
  disk::Slab slab = wait_for_slab();
  if (!slab) return;
  const chunker::SpanIndex index = arrival.span.index;
  auto placements = open(opener, arrival.span, slab.bytes());
  if (!placements) return node_.bad(index, arrival.origin);
  {
    const std::lock_guard lock(mutex_);
    node_.set_credit(slabs_ - ++writing_);  // under the lock: a later value is never overtaken by this one
  }
  // What came by multicast the others have too: its memory is better used for the next, and it can be read from the disk.
  if (arrival.origin.path != chunker::Origin::Path::multicast)
    held_.put(std::make_shared<const chunker::SealedSpan>(std::move(arrival.span)));
  verified_ += plan_.placed_size(index).bytes;
  // Placed before it counts as had: who sees the image complete and flushes then misses nothing.
  target_.place(std::move(slab), std::move(*placements), [this](const Result<>& result) { written(result); });
  node_.had(index);
}

Result<std::vector<disk::Placement>> Receiver::open(chunker::Opener& opener, const chunker::SealedSpan& span,
                                                    MutableBytes slab) {
  const auto& chunks = plan_.spans()[span.index.value].chunks;
  if (span.parts.size() != chunks.size())
    return fail(Code::content_altered, "span {} has {} chunks, not {}", span.index.value, chunks.size(), span.parts.size());
  std::vector<disk::Placement> placements;
  placements.reserve(chunks.size());
  std::vector<chunker::Fingerprint> fingerprints;
  fingerprints.reserve(chunks.size());
  ByteView sealed = span.bytes;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const auto& part = span.parts[i];
    const chunker::UntrustedChunk untrusted{chunks[i].id, part.codec, chunks[i].length, sealed.first(part.sealed_size)};
    STAMPEDE_TRY(const auto chunk, opener.open(untrusted, slab.first(chunks[i].length)));
    plan_.add_placements(chunk, chunks[i].offset, placements);
    fingerprints.push_back(chunker::fingerprint(chunk.bytes()));
    sealed = sealed.subspan(part.sealed_size);
    slab = slab.subspan(chunks[i].length);
  }
  plan_.remember(span.index, std::move(fingerprints));
  return placements;
}

void Receiver::written(const Result<>& result) {
  const std::lock_guard lock(mutex_);
  if (!result && !failure_) failure_ = result.error();
  --writing_;
  if (!stopping_) node_.set_credit(slabs_ - writing_);
}

}  // namespace stampede::deploy

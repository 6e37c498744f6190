#include "src/deploy/receiver.h"

#include "src/deploy/open_span.h"

namespace stampede::deploy {

Receiver::Receiver(Plan& plan, disk::Target& target, Sources& sources, HeldSpans& held, chunker::SpanFeed& feed,
                   Bitmap placed, unsigned workers)
    : plan_(plan),
      target_(target),
      sources_(sources),
      held_(held),
      feed_(feed),
      placed_(std::move(placed)),
      slabs_(target.free_slabs()) {
  target_.on_slab_free([this] { wake_.notify_all(); });
  sources_.on_read([this] { unpark(); });
  for (unsigned i = 0; i < workers; ++i) workers_.emplace_back([this] { work(); });
}

void Receiver::stop() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopping_, true)) return;
  }
  wake_.notify_all();
  queue_.stop();
  for (auto& worker : workers_) worker.join();
  target_.on_slab_free({});
  target_.stop_journal();
}

void Receiver::deliver(chunker::SealedSpan span, chunker::Origin origin) {
  queue_.push({std::move(span), std::move(origin)});
}

Result<> Receiver::keep_journal() {
  return target_.keep_journal([this] { return placed(); });
}

void Receiver::was_placed(chunker::SpanIndex span) {
  const std::lock_guard lock(mutex_);
  placed_.set(span.value);
}

void Receiver::give_credit() {
  const std::lock_guard lock(mutex_);
  feed_.set_credit(slabs_ - writing_);
}

Bitmap Receiver::placed() const {
  const std::lock_guard lock(mutex_);
  return placed_;
}

std::optional<Error> Receiver::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void Receiver::work() {
  chunker::Opener opener;
  while (auto arrival = queue_.pop())
    if (auto clear = unless_parked(*std::move(arrival))) handle(opener, *std::move(clear));
}

bool Receiver::may_be_placed(const chunker::SealedSpan& span) const {
  bool clear = true;
  for (std::uint32_t i = 0; clear && i < plan_.spans()[span.index.value].chunks.size(); ++i) {
    const ChunkIndex chunk{span.index, i};
    if (plan_.holds(chunk)) continue;
    const Size length{plan_.chunk(chunk).length};
    plan_.for_places(chunk, [&](Offset at) { clear = clear && sources_.are_clear_of({at, length}); });
  }
  return clear;
}

std::optional<Receiver::Arrival> Receiver::unless_parked(Arrival arrival) {
  const std::lock_guard lock(parking_);  // while it is judged: what is read just then must not be missed
  if (may_be_placed(arrival.span)) return arrival;
  parked_.push_back(std::move(arrival));
  return std::nullopt;
}

void Receiver::unpark() {
  const std::lock_guard lock(parking_);
  for (Arrival& arrival : std::exchange(parked_, {})) {
    if (may_be_placed(arrival.span))
      queue_.push(std::move(arrival));
    else
      parked_.push_back(std::move(arrival));
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
  if (!placements) return feed_.bad(index, arrival.origin);
  {
    const std::lock_guard lock(mutex_);
    feed_.set_credit(slabs_ - ++writing_);  // under the lock: a later value is never overtaken by this one
  }
  // What came by multicast the others have too: its memory is better used for the next, and it can be read from the disk.
  // Parts that were here already nobody has looked at: they are not passed on.
  if (arrival.origin.path != chunker::Origin::Path::multicast && !has_unseen_parts(arrival.span))
    held_.put(std::make_shared<const chunker::SealedSpan>(std::move(arrival.span)));
  // Placed before it counts as had: who sees the image complete and flushes then misses nothing.
  target_.place(std::move(slab), std::move(*placements), [this, index](const Result<>& result) { written(index, result); });
  feed_.had(index);
}

bool Receiver::has_unseen_parts(const chunker::SealedSpan& span) const {
  for (std::uint32_t i = 0; i < span.parts.size(); ++i)
    if (span.parts[i].sealed_size > 0 && plan_.holds({span.index, i})) return true;
  return false;
}

Result<std::vector<disk::Placement>> Receiver::open(chunker::Opener& opener, const chunker::SealedSpan& sealed,
                                                    MutableBytes slab) {
  const chunker::Span& span = plan_.spans()[sealed.index.value];
  std::vector<disk::Placement> placements;
  placements.reserve(span.chunks.size());
  const auto at = [&](std::size_t i) { return ChunkIndex{sealed.index, static_cast<std::uint32_t>(i)}; };
  STAMPEDE_CHECK(open_span(
      opener, span, sealed, slab, [&](std::size_t i) { return plan_.holds(at(i)); },
      [&](const chunker::VerifiedChunk& chunk, std::size_t i) {
        plan_.add_placements(chunk, at(i), placements);
        plan_.remember(at(i), chunker::fingerprint(chunk.bytes()));
      }));
  for (const disk::Placement& placement : placements) verified_ += placement.chunk.bytes().size();
  return placements;
}

void Receiver::written(chunker::SpanIndex span, const Result<>& result) {
  const std::lock_guard lock(mutex_);
  if (result) placed_.set(span.value);
  if (!result && !failure_) failure_ = result.error();
  --writing_;
  if (!stopping_) feed_.set_credit(slabs_ - writing_);
}

}  // namespace stampede::deploy

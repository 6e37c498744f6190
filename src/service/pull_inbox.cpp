#include "src/service/pull_inbox.h"

#include <algorithm>

#include "src/deploy/open_span.h"

namespace stampede::service {

namespace {

std::vector<bool> held_of(const chunker::Span& span, chunker::ChunkSink& session) {
  std::vector<chunker::ChunkId> ids;
  ids.reserve(span.chunks.size());
  for (const auto& chunk : span.chunks) ids.push_back(chunk.id);
  return session.have(ids);
}

void add_runs(std::uint32_t span, const std::vector<bool>& held, std::vector<wire::ChunkRun>& lacks) {
  for (std::size_t i = 0; i < held.size(); ++i) {
    if (held[i]) continue;
    if (i > 0 && !held[i - 1])
      ++lacks.back().count;
    else
      lacks.push_back({span, static_cast<std::uint16_t>(i), 1});
  }
}

}  // namespace

Wanted wanted_of(const std::vector<chunker::Span>& spans, chunker::ChunkSink& session) {
  Wanted wanted{.held = Bitmap(static_cast<std::uint32_t>(spans.size())), .lacks = {}, .data = {}, .lacking = {}};
  for (std::uint32_t i = 0; i < spans.size(); ++i) {
    const std::vector<bool> held = held_of(spans[i], session);
    const auto count = static_cast<std::size_t>(std::ranges::count(held, true));
    for (std::size_t k = 0; k < held.size(); ++k) {
      wanted.data += Size{spans[i].chunks[k].length};
      if (!held[k]) wanted.lacking += Size{spans[i].chunks[k].length};
    }
    if (count == held.size()) wanted.held.set(i);
    // Above what a message holds the rest comes whole, and what is held of it is dropped.
    if (count > 0 && count < held.size() && wanted.lacks.size() + held.size() <= wire::kMaxChunkRuns)
      add_runs(i, held, wanted.lacks);
  }
  return wanted;
}

PullInbox::PullInbox(const std::vector<chunker::Span>& spans, chunker::ChunkSink& session, net::Node& node)
    : spans_(spans), session_(session), node_(node) {
  for (unsigned i = 0; i < std::max(1U, std::thread::hardware_concurrency()); ++i) workers_.emplace_back([this] { work(); });
}

void PullInbox::stop() {
  queue_.stop();
  for (auto& worker : workers_) worker.join();
  workers_.clear();
}

std::optional<Error> PullInbox::failed() const {
  const std::lock_guard lock(mutex_);
  return failed_;
}

void PullInbox::work() {
  chunker::Opener opener;
  Buffer scratch(chunker::kSpan.bytes);
  while (const auto arrival = queue_.pop()) {
    const auto& [sealed, origin] = *arrival;
    const auto taken = take(opener, scratch, sealed);
    if (taken) {
      node_.had(sealed.index);
    } else if (taken.error().code == Code::content_altered) {
      node_.bad(sealed.index, origin);
    } else {
      const std::lock_guard lock(mutex_);
      if (!failed_) failed_ = taken.error();
    }
  }
}

Result<> PullInbox::take(chunker::Opener& opener, MutableBytes scratch, const chunker::SealedSpan& sealed) {
  const chunker::Span& span = spans_[sealed.index.value];
  const std::vector<bool> held = held_of(span, session_);
  STAMPEDE_CHECK(deploy::open_span(
      opener, span, sealed, scratch, [&](std::size_t i) { return held[i]; }, [](const auto&, std::size_t) {}));
  return pack(span, sealed, held);
}

Result<> PullInbox::pack(const chunker::Span& span, const chunker::SealedSpan& sealed, const std::vector<bool>& held) {
  ByteView rest = sealed.bytes;
  for (std::size_t i = 0; i < span.chunks.size(); ++i) {
    const auto& part = sealed.parts[i];
    const ByteView bytes = rest.first(part.sealed_size);
    rest = rest.subspan(part.sealed_size);
    if (held[i]) continue;
    const auto& chunk = span.chunks[i];
    STAMPEDE_CHECK(session_.put({chunk.id, part.codec, chunk.length, copy(bytes)}));
    packed_ += chunk.length;
    fetched_ += bytes.size();
  }
  return {};
}

}  // namespace stampede::service

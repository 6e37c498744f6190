#include "transport/net/push_sink.h"

#include <algorithm>
#include <utility>

namespace stampede::net {

namespace {

template <class M>
Result<M> expect(Result<wire::Message> answer) {
  if (!answer) return pass(std::move(answer).error());
  if (auto* wanted = std::get_if<M>(&*answer)) return std::move(*wanted);
  return fail(Code::protocol, "the depot answered a push with something else");
}

// The depot does not know of the push: the line broke, or it was restarted.
bool forgotten(const Error& error) { return error.code == Code::not_found; }

bool bit(ByteView bits, std::size_t i) { return (std::to_integer<unsigned>(bits[i / 8]) >> (i % 8) & 1U) != 0; }

}  // namespace

PushSink::PushSink(Node& node, wire::PushStart start) : node_(node), start_(std::move(start)) {}

PushSink::~PushSink() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  for (auto& sender : senders_) sender.join();
}

Result<> PushSink::open() {
  STAMPEDE_CHECK(begin());
  for (std::size_t i = 0; i < kPushSenders; ++i) senders_.emplace_back([this] { work(); });
  return {};
}

Result<> PushSink::begin() {
  wire::PushStart start;
  {
    const std::lock_guard lock(mutex_);
    start = start_;
  }
  auto ready = expect<wire::PushReady>(node_.ask_push(start));
  if (!ready) return pass(std::move(ready).error());
  const std::lock_guard lock(mutex_);
  ++generation_;
  return {};
}

// Whoever finds the push forgotten begins it anew, once for all, and offers again what the depot is still to get. Nobody
// else asks meanwhile: between the beginning and the offers a chunk would come unexpected.
Result<> PushSink::begin_again(std::uint64_t generation) {
  const std::lock_guard alone(asking_);
  std::vector<wire::Digest> ids;
  {
    const std::lock_guard lock(mutex_);
    if (broken_) return pass(*broken_);
    if (generation_ != generation) return {};
  }
  STAMPEDE_CHECK(begin());
  {
    // Not before: who has an answer from before enters its ids until then, and offers them again after.
    const std::lock_guard lock(mutex_);
    for (const auto& [id, state] : wanted_) ids.push_back(id);
  }
  for (std::size_t at = 0; at < ids.size(); at += wire::kMaxOffer)
    STAMPEDE_CHECK(offer_again(std::span(ids).subspan(at, std::min(wire::kMaxOffer, ids.size() - at))));
  return {};
}

// What it has packed meanwhile it may be sent once more: it lets it be.
Result<> PushSink::offer_again(std::span<const wire::Digest> ids) {
  auto lacks = expect<wire::PushLacks>(node_.ask_push(wire::PushOffer{{ids.begin(), ids.end()}}));
  if (lacks || forgotten(lacks.error())) return {};  // forgotten again: whoever asks next finds out
  return pass(std::move(lacks).error());
}

Result<wire::Message> PushSink::ask(const wire::Message& message) {
  while (true) {
    std::uint64_t generation = 0;
    {
      const std::shared_lock with_others(asking_);
      {
        const std::lock_guard lock(mutex_);
        if (broken_) return pass(*broken_);
        generation = generation_;
      }
      auto answer = node_.ask_push(message);
      if (answer || !forgotten(answer.error())) return answer;
    }
    STAMPEDE_CHECK(begin_again(generation));
  }
}

void PushSink::break_with(const Error& error) {
  const std::lock_guard lock(mutex_);
  if (!broken_) broken_ = error;
  changed_.notify_all();
}

Result<std::vector<bool>> PushSink::lacking(std::span<const chunker::ChunkId> ids) {
  std::vector<bool> out(ids.size());
  wire::PushOffer offer;
  std::vector<std::size_t> asked;
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const auto known = wanted_.find(ids[i].digest);
      if (known != wanted_.end()) {
        out[i] = known->second == State::lacked;
        continue;
      }
      offer.ids.push_back(ids[i].digest);
      asked.push_back(i);
    }
  }
  if (asked.empty()) return out;
  if (auto taken = offer_new(offer); !taken) {
    break_with(taken.error());
    return pass(std::move(taken).error());
  }
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const auto known = wanted_.find(offer.ids[i]);
    out[asked[i]] = known != wanted_.end() && known->second == State::lacked;
  }
  return out;
}

// What the depot lacks of them is wanted from now on.
Result<> PushSink::offer_new(const wire::PushOffer& offer) {
  while (true) {
    const std::uint64_t generation = begun();
    STAMPEDE_TRY(const auto lacks, expect<wire::PushLacks>(ask(offer)));
    if (lacks.count != offer.ids.size())
      return fail(Code::protocol, "the depot was offered {} chunks and speaks of {}", offer.ids.size(), lacks.count);
    const std::lock_guard lock(mutex_);
    // Begun again meanwhile: whoever did so may not have known of these, and then the depot does not expect them.
    if (generation_ != generation) continue;
    for (std::size_t i = 0; i < offer.ids.size(); ++i)
      if (bit(lacks.lacks, i)) wanted_.try_emplace(offer.ids[i], State::lacked);
    return {};
  }
}

std::uint64_t PushSink::begun() const {
  const std::lock_guard lock(mutex_);
  return generation_;
}

bool PushSink::has(const chunker::ChunkId& id) {
  const auto lacks = lacking(std::span(&id, 1));
  return !lacks || !lacks->front();
}

Result<> PushSink::put(chunker::SealedChunk chunk) {
  if (chunk.plain_size > wire::kMaxPushBytes || chunk.bytes.empty())
    return fail(Code::usage, "the image's manifest has a record of {}; a push takes {} at most",
                human_size(chunk.plain_size), human_size(wire::kMaxPushBytes));
  // Who did not ask does so now: the depot takes what it was offered alone.
  STAMPEDE_TRY(const auto lacks, lacking(std::span(&chunk.id, 1)));
  if (!lacks.front()) {
    const std::lock_guard lock(mutex_);
    return broken_ ? Result<>(pass(*broken_)) : Result<>();
  }
  std::unique_lock lock(mutex_);
  if (!fits(chunk)) {
    changed_.wait(lock, [&] { return broken_ || waiting_.size() < kPushSenders; });
    if (!fits(chunk)) submit_open();
  }
  if (broken_) return pass(*broken_);
  const auto wanted = wanted_.find(chunk.id.digest);
  if (wanted == wanted_.end() || std::exchange(wanted->second, State::put) == State::put) return {};
  open_.parts.push_back({chunk.id.digest, static_cast<std::uint8_t>(chunk.codec), chunk.plain_size,
                         static_cast<std::uint32_t>(chunk.bytes.size())});
  open_bytes_.insert(open_bytes_.end(), chunk.bytes.begin(), chunk.bytes.end());
  open_plain_ += chunk.plain_size;
  return {};
}

bool PushSink::fits(const chunker::SealedChunk& chunk) const {
  return open_.parts.empty() ||
         (open_.parts.size() < wire::kMaxPushParts && open_bytes_.size() + chunk.bytes.size() <= kPushFrame &&
          open_plain_ + chunk.plain_size <= wire::kMaxPushPlain);
}

// mutex_ is held.
void PushSink::submit_open() {
  if (open_.parts.empty()) return;
  open_.bytes = Buffer(ByteView(open_bytes_));
  waiting_.push_back(std::exchange(open_, {}));
  open_bytes_.clear();
  open_plain_ = 0;
  changed_.notify_all();
}

void PushSink::work() {
  while (true) {
    wire::PushChunks frame;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopping_ || broken_ || !waiting_.empty(); });
      if (stopping_ || broken_) return;
      frame = std::move(waiting_.front());
      waiting_.pop_front();
      ++under_way_;
      changed_.notify_all();
    }
    if (const auto answer = expect<wire::PushKept>(ask(frame)); !answer) return break_with(answer.error());
    kept(frame);
  }
}

void PushSink::kept(const wire::PushChunks& frame) {
  const std::lock_guard lock(mutex_);
  for (const auto& part : frame.parts) wanted_.erase(part.id);
  sent_ += Size{frame.bytes.size()};
  chunks_ += frame.parts.size();
  --under_way_;
  changed_.notify_all();
}

Result<> PushSink::flush() {
  std::unique_lock lock(mutex_);
  submit_open();
  changed_.wait(lock, [&] { return broken_ || (waiting_.empty() && under_way_ == 0); });
  if (broken_) return pass(*broken_);
  return {};
}

Result<chunker::SignedTagRecord> PushSink::finish(const chunker::SignedTagRecord& record) {
  STAMPEDE_CHECK(flush());
  auto now = expect<wire::TagRecordMessage>(ask(wire::PushEnd{record.record, record.signer, record.signature}));
  if (!now) return pass(std::move(now).error());
  return chunker::SignedTagRecord{std::move(now->record), now->signer, now->signature};
}

void PushSink::set_image(const chunker::ImageId& image) {
  const std::lock_guard lock(mutex_);
  start_.image = image.digest;
}

Size PushSink::sent() const {
  const std::lock_guard lock(mutex_);
  return sent_;
}

std::uint64_t PushSink::chunks() const {
  const std::lock_guard lock(mutex_);
  return chunks_;
}

}  // namespace stampede::net

#include "transport/multicast/receiver.h"

#include <algorithm>
#include <map>
#include <utility>

#include "transport/multicast/assembly.h"
#include "transport/multicast/reporter.h"

namespace stampede::multicast {
namespace {

struct Open {
  Assembly assembly;
  std::uint64_t order;  // of opening
  Instant touched;
};

}  // namespace

struct Receiver::State {
  ReceiverConfig config;
  Bitmap closed;   // packets are ignored: held, delivered or stale
  Bitmap settled;  // the sender was told, or will be
  std::map<std::uint32_t, Open> open;
  std::uint64_t opened = 0;
  std::size_t memory = 0;
  Bitmap finished;  // held, or named as stale
  std::vector<std::uint32_t> stale;
  Reporter reporter;
  Figures figures;

  State(const ReceiverConfig& c, Bitmap have, Random& random, Instant now)
      : config(c), closed(std::move(have)), settled(closed), finished(closed), reporter(random, now) {}

  bool knows(std::uint32_t span) const { return span < closed.size(); }
  Open& opening(const Header& header, std::uint64_t sequence, Instant now);
  void drop(std::uint32_t span);
  void make_room(std::uint32_t except);
  void settle(std::uint32_t span);
  void give_up(std::uint32_t span);
  void expire(Instant now);
  std::vector<Lack> lacks(Instant now) const;
};

Open& Receiver::State::opening(const Header& header, std::uint64_t sequence, Instant now) {
  const auto found = open.find(header.span);
  if (found != open.end()) return found->second;
  Open fresh{Assembly(header.frame_size, config.shape.symbol_size, sequence), opened++, now};
  memory += fresh.assembly.memory();
  return open.emplace(header.span, std::move(fresh)).first->second;
}

void Receiver::State::drop(std::uint32_t span) {
  const auto found = open.find(span);
  if (found == open.end()) return;
  memory -= found->second.assembly.memory();
  open.erase(found);
}

// The oldest is the one whose repair is least likely to come.
void Receiver::State::make_room(std::uint32_t except) {
  while (memory > config.memory && open.size() > 1) {
    const auto oldest = std::ranges::min_element(
        open, {}, [&](const auto& entry) { return std::pair(entry.first == except, entry.second.order); });
    give_up(oldest->first);
  }
}

void Receiver::State::settle(std::uint32_t span) {
  drop(span);
  closed.set(span);
  if (settled.set(span)) reporter.settled(span);
}

void Receiver::State::give_up(std::uint32_t span) {
  settle(span);
  if (finished.set(span)) stale.push_back(span);
}

void Receiver::State::expire(Instant now) {
  std::vector<std::uint32_t> old;
  for (const auto& [span, entry] : open) {
    if (now - entry.touched >= reporter.policy().stale()) old.push_back(span);
  }
  for (const std::uint32_t span : old) give_up(span);
}

std::vector<Lack> Receiver::State::lacks(Instant now) const {
  std::vector<Lack> out;
  for (const auto& [span, entry] : open) {
    const Assembly& assembly = entry.assembly;
    for (std::uint32_t g = 0; g < assembly.generations() && out.size() < kMaxLacks; ++g) {
      const std::uint32_t missing = assembly.missing(g);
      if (missing > 0 && reporter.ripe(assembly.last_sequence(g), now))
        out.push_back({span, static_cast<std::uint8_t>(g), static_cast<std::uint8_t>(missing)});
    }
  }
  return out;
}

Receiver::Receiver(const ReceiverConfig& config, Bitmap have, Random& random, Instant now) {
  if (have.size() != config.shape.span_count) have = Bitmap(config.shape.span_count);
  state_ = std::make_unique<State>(config, std::move(have), random, now);
}
Receiver::~Receiver() = default;
Receiver::Receiver(Receiver&&) noexcept = default;
Receiver& Receiver::operator=(Receiver&&) noexcept = default;

std::optional<Received> Receiver::packet(std::uint64_t sequence, const Packet& packet, Instant now) {
  State& s = *state_;
  const Header& header = packet.header;
  if (!s.knows(header.span) || packet.symbol.size() != s.config.shape.symbol_size) return std::nullopt;
  s.reporter.heard(sequence, now);
  if (s.closed.test(header.span)) {
    ++s.figures.needless;
    return std::nullopt;
  }
  Open& entry = s.opening(header, sequence, now);
  if (entry.assembly.frame_size() != header.frame_size) {
    ++s.figures.refused;
    return std::nullopt;
  }
  const std::size_t before = entry.assembly.memory();
  if (!entry.assembly.add(header, packet.symbol, sequence)) ++s.figures.needless;
  s.memory += entry.assembly.memory() - before;
  entry.touched = now;
  if (!entry.assembly.complete()) {
    s.make_room(header.span);
    return std::nullopt;
  }
  s.figures.decoded += entry.assembly.decoded();
  s.memory -= entry.assembly.memory();
  auto frame = decode_frame(std::move(entry.assembly).take());
  s.open.erase(header.span);
  s.settle(header.span);
  if (frame) return Received{header.span, *std::move(frame)};
  ++s.figures.refused;
  s.give_up(header.span);
  return std::nullopt;
}

void Receiver::have(std::uint32_t span) {
  if (!state_->knows(span)) return;
  state_->settle(span);
  state_->finished.set(span);
}

void Receiver::bad(std::uint32_t span) {
  if (state_->knows(span)) state_->give_up(span);
}

void Receiver::given_up(std::span<const std::uint32_t> spans) {
  for (const std::uint32_t span : spans) {
    if (state_->knows(span) && !state_->closed.test(span)) state_->give_up(span);
  }
}

void Receiver::set_policy(const Policy& policy, Instant now) { state_->reporter.set_policy(policy, now); }
void Receiver::set_backlog(std::uint32_t spans) { state_->reporter.set_backlog(spans); }

std::optional<Report> Receiver::poll(Instant now) {
  State& s = *state_;
  s.expire(now);
  if (now < s.reporter.due()) return std::nullopt;
  return s.reporter.report(s.lacks(now), now);
}
Instant Receiver::next_poll() const { return state_->reporter.due(); }

std::vector<std::uint32_t> Receiver::take_stale() { return std::exchange(state_->stale, {}); }

Receiver::Figures Receiver::figures() const {
  Figures out = state_->figures;
  state_->reporter.count(out);
  out.memory = state_->memory;
  return out;
}

}  // namespace stampede::multicast

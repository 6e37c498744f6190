#include "transport/swarm/picker.h"

#include <utility>

#include "transport/swarm/picker_state.h"

namespace stampede::swarm {

Picker::State::State(const PickerConfig& picker_config, Bitmap held, Random& seed)
    : config(picker_config), have(std::move(held)), random(seed.number()), spans(have), expected(have.size()) {
  patience = 1 + static_cast<double>(random.below(1000)) / 2000;
}

std::uint32_t Picker::State::live_any() const {
  if (!depot) return 0;
  return static_cast<std::uint32_t>(
      std::ranges::count_if(depot->asked(), [](const Asked& a) { return a.live && a.span == kAny; }));
}

std::uint32_t Picker::State::spent() const {
  return live_any() + static_cast<std::uint32_t>(under_way.size() + received.size());
}

Source* Picker::State::source_of(PeerId peer) {
  if (peer == kDepot) return depot ? &*depot : nullptr;
  const auto at = peers.find(peer);
  return at == peers.end() ? nullptr : &at->second;
}

void Picker::State::ask(Source& source, std::uint32_t span, Instant now) {
  source.ask(span, now);
  deadline = std::min(deadline, source.asked().back().deadline);
}

void Picker::State::start(Source& source, std::uint32_t span, Instant now) {
  ask(source, span, now);
  ++under_way[span];
  spans.close(span);
}

void Picker::State::stop(std::uint32_t span) {
  const auto at = under_way.find(span);
  if (at == under_way.end() || --at->second > 0) return;
  under_way.erase(at);
  spans.open(span);
}

void Picker::State::expect(std::uint32_t span) {
  if (!spans.is_open(span)) return;
  spans.close(span);
  expected.set(span);
}

// Released by multicast: what nobody holds is new to ask for.
void Picker::State::reopen(std::uint32_t span, Instant now) {
  if (!expected.clear(span)) return;
  spans.open(span);
  any_again = {};
  quiet_since = now;
  if (under_way.empty()) last_arrival = now;  // nobody is slow of whom nothing was asked
}

void Picker::State::settle(std::uint32_t span) {
  spans.close(span);
  expected.clear(span);
  if (under_way.erase(span) == 0) return;
  const auto unneeded = [&](Source& source) {
    if (const auto request = source.find(span); request != source.asked().end()) request->live = false;
  };
  if (depot) unneeded(*depot);
  for (auto& [id, peer] : peers) unneeded(peer);
}

void Picker::State::forget(Source& source) {
  for (const Asked& request : source.asked()) {
    if (request.live && request.span != kAny) stop(request.span);
  }
}

void Picker::State::expire(Instant now) {
  if (now < deadline) return;
  deadline = Instant::max();
  const auto expire_of = [&](Source& source) {
    for (Asked& request : source.asked()) {
      if (!request.live) continue;
      if (now < request.deadline) {
        deadline = std::min(deadline, request.deadline);
      } else {
        source.overdue(request, now);
        if (request.span != kAny) stop(request.span);
        // A depot with a long queue is as good as it can be; it may keep half of the credit.
        if (request.span == kAny && live_any() < credit / 2) source.wait_on(request, now);
        if (request.live) deadline = std::min(deadline, request.deadline);
      }
    }
  };
  if (depot) expire_of(*depot);
  for (auto& [id, peer] : peers) expire_of(peer);
}

Picker::Picker(const PickerConfig& config, Bitmap have, Random& random)
    : state_(std::make_unique<State>(config, std::move(have), random)) {}
Picker::~Picker() = default;
Picker::Picker(Picker&&) noexcept = default;
Picker& Picker::operator=(Picker&&) noexcept = default;

void Picker::peer_joined(PeerId peer, Bitmap has, Instant now) {
  State& s = *state_;
  peer_left(peer, now);
  if (!s.depot && s.peers.empty()) s.last_arrival = now;
  if (peer == kDepot) {
    s.depot.emplace(s.config.depot_window);
    s.any_again = {};
  } else if (!s.banned.contains(peer) && has.size() == s.config.span_count) {
    s.peers.emplace(peer, Source(s.config.peer_window));
    s.spans.add(peer, std::move(has));
  }
  s.quiet_since = now;
}

void Picker::peer_left(PeerId peer, Instant) {
  State& s = *state_;
  Source* source = s.source_of(peer);
  if (source == nullptr) return;
  s.forget(*source);
  s.any_again = {};  // what only that peer had, or was on its way to it, is fresh again
  if (peer == kDepot) {
    s.depot.reset();
  } else {
    s.peers.erase(peer);
    s.spans.remove(peer);
  }
}

void Picker::peer_has(PeerId peer, std::uint32_t span, Instant now) {
  State& s = *state_;
  if (span < s.config.span_count && s.spans.announce(peer, span)) s.quiet_since = now;
}

void Picker::set_active(std::uint32_t active, Instant) {
  if (std::exchange(state_->active, active) != active) state_->any_again = {};
}

void Picker::set_credit(std::uint32_t credit) { state_->credit = credit; }

bool Picker::received(PeerId peer, std::uint32_t span, Instant now) {
  State& s = *state_;
  Source* source = s.source_of(peer);
  const auto request = [&] {
    const auto named = source->find(span);
    return named != source->asked().end() || peer != kDepot ? named : source->find(kAny);
  };
  if (source == nullptr || span >= s.config.span_count || request() == source->asked().end()) {
    ++s.duplicates;
    return false;
  }
  const auto answered = request();
  const bool any = answered->span == kAny;
  const bool paid = answered->live || s.under_way.contains(span);
  if (answered->live && !any) answered->live = false, s.stop(span);
  source->answered(answered, now);
  // An answer that came too late to be counted on is welcome if there is room for it.
  if (!s.wanted(span) || !(paid || s.credit_left() > 0)) {
    ++s.duplicates;
    return false;
  }
  s.settle(span);
  s.received.emplace(span, peer);
  if (any) s.any_again = {};
  if (any || peer != kDepot) {
    s.interval += (now - s.last_arrival - s.interval) / 8;
    s.last_arrival = s.quiet_since = now;
  }
  return true;
}

bool Picker::caught(std::uint32_t span) {
  State& s = *state_;
  if (!s.wanted(span)) return false;
  s.settle(span);
  s.received.emplace(span, kMulticast);
  return true;
}

void Picker::expect_all() {
  for (std::uint32_t span = 0; span < state_->config.span_count; ++span) state_->expect(span);
}

void Picker::expect(const Bitmap& spans) {
  if (spans.size() != state_->config.span_count) return;
  for (std::uint32_t span = 0; span < spans.size(); ++span)
    if (spans.test(span)) state_->expect(span);
}

void Picker::release(std::uint32_t span, Instant now) {
  if (span < state_->config.span_count) state_->reopen(span, now);
}

void Picker::release_all(Instant now) {
  for (std::uint32_t span = 0; span < state_->config.span_count; ++span) state_->reopen(span, now);
}

void Picker::had(std::uint32_t span, Instant) {
  State& s = *state_;
  if (span >= s.config.span_count || !s.have.set(span)) return;
  s.received.erase(span);
  s.settle(span);
  s.refused.erase(span);
}

void Picker::bad(std::uint32_t span, Instant now) {
  State& s = *state_;
  const auto from = s.received.find(span);
  if (from == s.received.end()) return;
  const PeerId peer = from->second;
  s.received.erase(from);
  s.spans.open(span);
  if (peer == kDepot) {
    s.refused[span] = now + kRefusedAgain;
  } else if (peer != kMulticast) {
    s.banned.insert(peer);
    peer_left(peer, now);
  }
}

void Picker::not_held(PeerId peer, std::uint32_t span, Instant now) {
  State& s = *state_;
  Source* source = s.source_of(peer);
  if (source == nullptr || span >= s.config.span_count) return;
  if (peer == kDepot) {
    s.refused[span] = now + kRefusedAgain;
  } else {
    s.spans.retract(peer, span);
  }
  const auto request = source->find(span);
  if (request == source->asked().end()) return;
  const bool live = request->live;
  source->asked().erase(request);
  if (live) s.stop(span);
}

void Picker::none_left(std::uint32_t count, Instant now) {
  State& s = *state_;
  if (!s.depot) return;
  auto& asked = s.depot->asked();
  for (; count > 0; --count) {
    const auto last = std::ranges::find(asked.rbegin(), asked.rend(), kAny, &Asked::span);
    if (last == asked.rend()) break;
    asked.erase(std::next(last).base());
  }
  s.any_again = now + kAnyAgain;
}

std::optional<Instant> Picker::next_poll() const { return state_->next; }
bool Picker::complete() const { return state_->have.full(); }
const Bitmap& Picker::have() const { return state_->have; }
std::uint64_t Picker::duplicates() const { return state_->duplicates; }

}  // namespace stampede::swarm

#include "transport/multicast/ledger.h"

#include <algorithm>

namespace stampede::multicast {
namespace {

constexpr Duration kSweepEvery = std::chrono::milliseconds(100);

}  // namespace

Ledger::Generation& Ledger::generation(std::uint32_t span, std::uint32_t number) {
  auto& generations = entries_[span].generations;
  while (generations.size() <= number) generations.emplace_back().used = used_[span];
  return generations[number];
}

void Ledger::plan(std::uint32_t span, const Layout& layout, std::uint32_t parity) {
  began_[span] = sequence_ + 1;
  for (std::uint32_t g = layout.generations(); g-- > 0;) generation(span, g).planned = layout.k(g) + parity;
}

std::uint64_t Ledger::send(std::uint32_t span, std::uint32_t number, bool planned) {
  Generation& g = generation(span, number);
  g.sent.push_back(++sequence_);
  if (planned) {
    --g.planned;
    return sequence_;
  }
  g.repaired = sequence_;
  if (g.asked > 0) --g.asked;
  return sequence_;
}

std::uint8_t Ledger::fresh_index(std::uint32_t span, std::uint32_t number, std::uint32_t k) {
  Generation& g = generation(span, number);
  if (k + g.used >= kMaxIndex) g.used = 0;
  return static_cast<std::uint8_t>(k + g.used++);
}

std::uint32_t Ledger::ask(const Lack& lack, double loss, std::uint64_t seen, std::uint32_t spare) {
  Generation& g = generation(lack.span, lack.generation);
  const auto later = std::ranges::upper_bound(g.sent, std::max(seen, landed_));
  const auto coming = static_cast<std::uint32_t>(g.sent.end() - later) + g.planned;
  if (lack.missing <= coming) return 0;
  const std::uint32_t need = lack.missing - coming;
  // Some of it will be lost again; to send as much at once saves a round. Not all of that: the reports were of the worst.
  const std::uint32_t wanted = need + static_cast<std::uint32_t>(need * loss * kAnticipation) + spare;
  if (wanted <= g.asked) return 0;
  const std::uint32_t more = wanted - g.asked;
  g.asked = wanted;
  if (!g.in_turn) turn_.push_back({lack.span, lack.generation});
  g.in_turn = true;
  return more;
}

std::optional<GenerationId> Ledger::next_repair() {
  while (!turn_.empty()) {
    const GenerationId id = turn_.front();
    turn_.pop_front();
    Generation& g = generation(id.span, id.generation);
    g.in_turn = g.asked > 1;
    if (g.in_turn) turn_.push_back(id);
    if (g.asked > 0) return id;
  }
  return std::nullopt;
}

void Ledger::forget(std::uint32_t span) {
  if (const auto found = entries_.find(span); found != entries_.end()) {
    for (Generation& g : found->second.generations) g.asked = 0;
  }
}

bool Ledger::in_repair(std::uint32_t span) const {
  const auto found = entries_.find(span);
  return found != entries_.end() && std::ranges::any_of(found->second.generations, [&](const Generation& g) {
           return g.asked > 0 || g.repaired > landed_;
         });
}

bool Ledger::alive(const Generation& g) const {
  return g.planned > 0 || g.asked > 0 || g.in_turn || (!g.sent.empty() && g.sent.back() > landed_);
}

void Ledger::tick(Instant now) {
  marks_.emplace_back(now, sequence_);
  while (marks_.front().first + kFlight <= now) {
    landed_ = marks_.front().second;
    marks_.pop_front();
  }
  if (now - swept_ < kSweepEvery) return;
  swept_ = now;
  sweep();
}

void Ledger::sweep() {
  std::erase_if(entries_, [&](const auto& item) {
    const auto& generations = item.second.generations;
    if (std::ranges::any_of(generations, [&](const Generation& g) { return alive(g); })) return false;
    used_[item.first] = static_cast<std::uint8_t>(std::ranges::max(generations, {}, &Generation::used).used);
    return true;
  });
}

}  // namespace stampede::multicast

#include "transport/multicast/carousel.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <set>
#include <utility>

#include "transport/multicast/ledger.h"
#include "transport/multicast/membership.h"
#include "transport/multicast/need.h"
#include "transport/multicast/schedule.h"
#include "transport/multicast/shelf.h"
#include "transport/multicast/window.h"

namespace stampede::multicast {
namespace {

using namespace std::chrono_literals;

constexpr Duration kReviewEvery = 100ms;
constexpr Duration kReviewSoon = 10ms;  // when one does badly
constexpr Duration kPollEvery = 10ms;
// Receivers keep what they cannot decode yet: new windows wait while so many are in repair, but for no window longer than
// this.
constexpr std::size_t kWindowsInRepair = 3;
constexpr Duration kPatience = 150ms;
// One that joined in the middle of a span's sending may lack so many symbols and still be helped.
constexpr std::uint32_t kJoinerLacks = 4;
constexpr std::uint64_t kDeafAfter = 65536;  // symbols, about a second at 1 Gbit/s
constexpr std::size_t kDeferred = 4096;

}  // namespace

struct Carousel::State {
  struct Asked {
    Lack lack;
    double loss;
    std::uint64_t seen;
  };
  struct Past {
    std::vector<std::uint32_t> spans;
    Instant ended;
  };

  Shape shape;
  Limits limits;
  Membership members;
  Ledger ledger;
  Schedule schedule;
  Shelf shelf{kFrameMemory};
  Policy policy = policy_for(0, 1e8);
  double rate = 1e8;
  std::size_t policy_members = 0;  // that it was made for
  double policy_rate = 1e8;
  std::optional<Window> window;
  std::deque<Past> past;
  std::set<std::uint32_t> fetching;
  std::vector<std::uint32_t> to_fetch;
  std::deque<Asked> deferred;  // repair of spans whose frames were asked for again
  std::vector<Buffer> parity;  // of the last turn
  Instant reviewed{};
  std::uint64_t data = 0;
  std::uint64_t unasked = 0;
  std::uint64_t repair = 0;

  State(const Shape& s, const Limits& l) : shape(s), limits(l), members(s.span_count), ledger(s.span_count), schedule(s) {}

  void review(Duration every, Instant now);
  void set_policy();
  void fetch(std::uint32_t span);
  void look_ahead(Instant now);
  bool many_in_repair(Instant now);
  bool start_window(Instant now);
  bool send_planned(Turn& turn, Instant now);
  bool send_repair(Turn& turn, Instant now);
  void send_parity(Turn& turn, std::uint64_t sequence, std::uint32_t span, std::uint32_t generation, const Shelved& frame);
  Header header(std::uint32_t span, std::uint32_t generation, std::uint32_t index, const Shelved& frame) const;
  bool joined_amid(const Membership::Member& member, const Lack& lack) const;
  // At the end, when nothing else is to be sent, one symbol more often saves a round.
  std::uint32_t spare() const { return !window && schedule.empty() ? 1 : 0; }
  void ask(Membership::Member& member, const Lack& lack, std::uint64_t seen);
};

void Carousel::State::review(Duration every, Instant now) {
  if (now - reviewed < every) return;
  reviewed = now;
  set_policy();
  members.review(limits, ledger.sequence(), policy.silence(), now);
}

// Only those that lack something have much to say. Small changes are not worth telling everybody.
void Carousel::State::set_policy() {
  const std::size_t unfinished = members.unfinished();
  const auto differs = [](double a, double b) { return std::abs(a - b) > b / 4; };
  if (!differs(static_cast<double>(unfinished), static_cast<double>(policy_members)) && !differs(rate, policy_rate)) return;
  policy_members = unfinished;
  policy_rate = rate;
  policy = policy_for(unfinished, rate);
}

void Carousel::State::fetch(std::uint32_t span) {
  if (fetching.insert(span).second) to_fetch.push_back(span);
}

void Carousel::State::look_ahead(Instant now) {
  for (const std::uint32_t span : schedule.look_ahead(members, policy.settling(), now)) {
    if (members.few_lack(span, limits)) {
      members.leave_to_peers(span);
      schedule.unavailable(span);
    } else if (const auto frame = shelf.find(span)) {
      schedule.provide(span, frame);
    } else {
      fetch(span);
    }
  }
}

bool Carousel::State::many_in_repair(Instant now) {
  std::erase_if(past, [&](const Past& p) { return now - p.ended >= kPatience; });
  const auto in_repair = std::ranges::count_if(past, [&](const Past& p) {
    return std::ranges::any_of(p.spans,
                               [&](std::uint32_t span) { return members.is_lacked(span) && ledger.in_repair(span); });
  });
  return static_cast<std::size_t>(in_repair) >= kWindowsInRepair;
}

bool Carousel::State::start_window(Instant now) {
  if (many_in_repair(now)) return false;
  look_ahead(now);
  window = schedule.take(members);
  if (!window) return false;
  const std::uint32_t need = sure_need(members.losses(), kMaxData);
  window->set_parity(need);
  for (std::size_t i = 0; i < window->spans().size(); ++i)
    ledger.plan(window->spans()[i], window->frames()[i]->layout(), need);
  return true;
}

Header Carousel::State::header(std::uint32_t span, std::uint32_t generation, std::uint32_t index,
                               const Shelved& frame) const {
  const Layout& layout = frame.layout();
  return {span,
          static_cast<std::uint8_t>(generation),
          static_cast<std::uint8_t>(layout.generations()),
          static_cast<std::uint8_t>(layout.k(generation)),
          static_cast<std::uint8_t>(index),
          frame.size()};
}

void Carousel::State::send_parity(Turn& turn, std::uint64_t sequence, std::uint32_t span, std::uint32_t generation,
                                  const Shelved& frame) {
  const std::uint32_t index = ledger.fresh_index(span, generation, frame.layout().k(generation));
  parity.push_back(frame.parity(generation, index));
  turn.symbols.push_back({sequence, header(span, generation, index, frame), parity.back()});
}

bool Carousel::State::send_planned(Turn& turn, Instant now) {
  if (!window && !start_window(now)) return false;
  if (const auto next = window->next()) {
    const Window::Slot& slot = next->slot;
    const std::uint64_t sequence = ledger.send(slot.span, slot.generation, true);
    if (next->index < slot.k) {
      turn.symbols.push_back({sequence, header(slot.span, slot.generation, next->index, *slot.frame),
                              slot.frame->data(slot.generation, next->index)});
      ++data;
    } else {
      send_parity(turn, sequence, slot.span, slot.generation, *slot.frame);
      ++unasked;
    }
    return true;
  }
  for (const std::uint32_t span : window->spans()) schedule.sent(span, now);
  schedule.done(*window);
  past.push_back({window->spans(), now});
  window.reset();
  return true;
}

bool Carousel::State::send_repair(Turn& turn, Instant now) {
  while (const auto next = ledger.next_repair()) {
    const auto frame = shelf.find(next->span);
    if (!frame || !members.is_lacked(next->span) || next->generation >= frame->layout().generations()) {
      ledger.forget(next->span);
      continue;
    }
    send_parity(turn, ledger.send(next->span, next->generation, false), next->span, next->generation, *frame);
    schedule.sent(next->span, now);
    ++repair;
    return true;
  }
  return false;
}

// It came in the middle of the span's sending. To repair that would cost the others more than to send the span again in the
// next pass, with what others who joined meanwhile lack.
bool Carousel::State::joined_amid(const Membership::Member& member, const Lack& lack) const {
  const std::uint64_t began = ledger.began(lack.span);
  return began > 0 && began <= member.since && lack.missing > kJoinerLacks && members.size() > 1;
}

void Carousel::State::ask(Membership::Member& member, const Lack& lack, std::uint64_t seen) {
  if (shelf.find(lack.span)) {
    member.caused += ledger.ask(lack, member.loss, seen, spare());
  } else if (deferred.size() < kDeferred) {
    deferred.push_back({lack, member.loss, seen});
    fetch(lack.span);
  }
}

Carousel::Carousel(const Shape& shape, const Limits& limits) : state_(std::make_unique<State>(shape, limits)) {}
Carousel::~Carousel() = default;
Carousel::Carousel(Carousel&&) noexcept = default;
Carousel& Carousel::operator=(Carousel&&) noexcept = default;

void Carousel::joined(MemberId member, Bitmap have, Instant now, std::vector<std::uint32_t> elsewhere) {
  State& s = *state_;
  s.members.join(member, std::move(have), s.ledger.sequence(), now, std::move(elsewhere));
  s.schedule.renew(s.members.find(member)->settled);
}
void Carousel::left(MemberId member) { state_->members.leave(member); }

void Carousel::has(MemberId member, std::uint32_t span, Instant now) {
  Membership::Member* const who = state_->members.find(member);
  if (who == nullptr) return;
  state_->members.heard(*who, now);
  state_->members.settle(*who, span);
}

Answer Carousel::report(MemberId member, const Report& report, Instant now) {
  State& s = *state_;
  Answer out;
  Membership::Member* const who = s.members.find(member);
  if (who == nullptr) return out;
  s.members.heard(*who, now);
  who->loss = report.loss / 65536.0;
  who->deaf = s.ledger.sequence() > std::max(report.sequence, who->since) + kDeafAfter;
  if (who->loss > s.members.bearable()) s.review(kReviewSoon, now);
  std::uint64_t settled = 0;  // of one report never more than there are
  for (const SpanRun& run : report.settled) {
    settled += run.count;
    if (settled > s.shape.span_count) break;
    for (std::uint64_t span = run.first; span < std::uint64_t{run.first} + run.count; ++span)
      s.members.settle(*who, static_cast<std::uint32_t>(std::min<std::uint64_t>(span, s.shape.span_count)));
  }
  for (const Lack& lack : report.lacks) {
    if (lack.span >= s.shape.span_count || lack.missing > kMaxData || who->settled.test(lack.span)) continue;
    if (who->trailing) {  // cannot be helped without costing the others more than it should
      s.members.settle(*who, lack.span);
      out.given_up.push_back(lack.span);
    } else if (!s.joined_amid(*who, lack)) {
      s.ask(*who, lack, report.sequence);
    }
  }
  // What an answer has no room for, the next one has.
  for (auto& left = who->left_to_peers; !left.empty() && out.given_up.size() < wire::kMaxGivenUp; left.pop_back())
    out.given_up.push_back(left.back());
  const auto& withdrawn = s.members.withdrawn();
  for (; who->told < withdrawn.size() && out.given_up.size() < wire::kMaxGivenUp; ++who->told)
    out.given_up.push_back(withdrawn[who->told]);
  return out;
}

void Carousel::provide(std::uint32_t span, std::shared_ptr<const Bytes> frame) {
  State& s = *state_;
  if (s.fetching.erase(span) == 0) return;
  if (frame == nullptr || frame->size() < 2 || frame->size() > kMaxFrame) return unavailable(span);
  const auto shelved = std::make_shared<const Shelved>(std::move(frame), s.shape.symbol_size);
  s.schedule.provide(span, shelved);
  s.shelf.put(span, shelved);
  std::erase_if(s.deferred, [&](const State::Asked& asked) {
    if (asked.lack.span != span) return false;
    s.ledger.ask(asked.lack, asked.loss, asked.seen, s.spare());
    return true;
  });
}

void Carousel::unavailable(std::uint32_t span) {
  if (span >= state_->shape.span_count) return;
  state_->fetching.erase(span);
  state_->schedule.unavailable(span);
  state_->members.withdraw(span);
  std::erase_if(state_->deferred, [&](const State::Asked& asked) { return asked.lack.span == span; });
}

void Carousel::set_rate(double bytes_per_second) { state_->rate = bytes_per_second; }
const Policy& Carousel::policy() const { return state_->policy; }

Turn Carousel::poll(Instant now, std::size_t room) {
  State& s = *state_;
  Turn out;
  s.parity.clear();
  s.parity.reserve(room);
  s.ledger.tick(now);
  s.review(kReviewEvery, now);
  s.look_ahead(now);
  while (out.symbols.size() < room && (s.send_repair(out, now) || s.send_planned(out, now))) {
  }
  out.fetch = std::exchange(s.to_fetch, {});
  if (!idle()) out.next = out.symbols.size() == room ? now : now + kPollEvery;
  return out;
}

bool Carousel::idle() const { return state_->members.lacked().count() == 0; }

Carousel::Figures Carousel::figures() const {
  const State& s = *state_;
  return {s.data,
          s.unasked,
          s.repair,
          s.schedule.passes(),
          static_cast<std::uint32_t>(s.members.size()),
          s.members.trailing(),
          s.members.lacked().count()};
}

}  // namespace stampede::multicast

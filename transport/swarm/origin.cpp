#include "transport/swarm/origin.h"

#include <algorithm>
#include <bit>
#include <deque>
#include <map>
#include <unordered_map>
#include <utility>

namespace stampede::swarm {

namespace {

constexpr Duration kSweepEvery = std::chrono::seconds(1);

struct Coming {
  std::uint32_t span;
  Instant since;
  bool lost = false;  // it has taken too long: others may have the span, this member is not sent it again unless it asks
};

struct Member {
  Bitmap have;
  bool serves = true;  // else `have` is also what it was ever given, and nothing is `coming`
  bool finished = false;
  bool silent = false;  // then what it holds is not counted in holders
  Instant heard;
  std::uint32_t cursor = 0;    // nothing fresh for it before this span
  std::vector<Coming> coming;  // spans on their way to it, few

  auto find(std::uint32_t span) { return std::ranges::find(coming, span, &Coming::span); }
  bool expects(std::uint32_t span) { return find(span) != coming.end(); }
};

// A span given to a serving member, in the order of time. Stale once the span has come or the member has gone.
struct Claim {
  Instant at;
  MemberId member;
  std::uint32_t span;
};

}  // namespace

struct Origin::State {
  explicit State(std::uint32_t span_count) : spans(span_count), fresh(span_count), holders(span_count) {
    for (std::uint32_t i = 0; i < span_count; ++i) fresh.set(i);
  }

  Member* find(MemberId id) {
    const auto at = members.find(id);
    return at == members.end() ? nullptr : &at->second;
  }
  void touch(Member& member, Instant now);
  void sweep(Instant now);
  void count_holdings(const Member& member, bool add);
  void hold(std::uint32_t span, bool add);
  void claim(MemberId id, Member& member, std::uint32_t span, Instant now);
  void unclaim(std::uint32_t span);
  void expire_claims(Instant now, Duration after);
  void refresh(std::uint32_t span);
  bool better_elsewhere(const Member& member, Instant now) const;
  std::uint32_t room_ahead() const;
  void take(MemberId id, Member& member, std::uint32_t count, Instant now, std::vector<std::uint32_t>& out);

  std::uint32_t spans;
  Bitmap fresh;                                             // held by no heard-of serving member, on its way to none
  std::vector<std::uint16_t> holders;                       // serving members that were heard of
  std::unordered_map<std::uint32_t, std::uint32_t> on_way;  // span → serving members that it is on its way to
  std::deque<Claim> claims;
  Duration usual{};  // from giving a span to hearing that it is held, smoothed over all members
  std::map<MemberId, Member> members;
  Instant swept;
};

// Whether the span is fresh has to be decided anew, after it lost a holder or a claim.
void Origin::State::refresh(std::uint32_t span) {
  if (holders[span] > 0 || on_way.contains(span) || !fresh.set(span)) return;
  for (auto& [id, member] : members) member.cursor = std::min(member.cursor, span);
}

void Origin::State::hold(std::uint32_t span, bool add) {
  if (add) {
    ++holders[span];
    fresh.clear(span);
  } else {
    --holders[span];
    refresh(span);
  }
}

void Origin::State::count_holdings(const Member& member, bool add) {
  if (!member.serves) return;
  for (std::uint32_t i = 0; i < member.have.words(); ++i) {
    for (std::uint64_t word = member.have.word(i); word != 0; word &= word - 1) {
      hold(i * 64 + static_cast<std::uint32_t>(std::countr_zero(word)), add);
    }
  }
}

void Origin::State::touch(Member& member, Instant now) {
  member.heard = now;
  if (std::exchange(member.silent, false)) count_holdings(member, true);
}

void Origin::State::sweep(Instant now) {
  if (now - swept < kSweepEvery) return;
  swept = now;
  for (auto& [id, member] : members) {
    if (member.silent || now - member.heard < kActiveFor) continue;
    member.silent = true;
    count_holdings(member, false);
  }
  expire_claims(now, kActiveFor);
}

void Origin::State::claim(MemberId id, Member& member, std::uint32_t span, Instant now) {
  if (!member.serves) {
    member.have.set(span);
    return;
  }
  if (member.have.test(span)) return;
  if (const auto before = member.find(span); before != member.coming.end()) {
    if (!before->lost) return;
    member.coming.erase(before);
  }
  member.coming.push_back({span, now});
  claims.push_back({now, id, span});
  ++on_way[span];
  fresh.clear(span);
}

void Origin::State::unclaim(std::uint32_t span) {
  if (const auto count = on_way.find(span); --count->second == 0) on_way.erase(count);
  refresh(span);
}

void Origin::State::expire_claims(Instant now, Duration after) {
  while (!claims.empty() && now - claims.front().at >= after) {
    const Claim old = claims.front();
    claims.pop_front();
    Member* member = find(old.member);
    if (member == nullptr) continue;
    const auto at = member->find(old.span);
    if (at == member->coming.end() || at->lost || at->since != old.at) continue;
    at->lost = true;
    unclaim(old.span);
  }
}

// Fresh spans would be wasted on a member that does not pass them on, while there is one that does.
bool Origin::State::better_elsewhere(const Member& member, Instant now) const {
  return !member.serves && std::ranges::any_of(members, [&](const auto& m) {
    return m.second.serves && !m.second.finished && now - m.second.heard < kActiveFor;
  });
}

// How many spans may be given before somebody has to hold more.
std::uint32_t Origin::State::room_ahead() const {
  if (members.size() <= 1) return spans;
  std::uint32_t most = 0;
  for (const auto& [id, member] : members) most = std::max(most, member.have.count());
  const std::uint32_t limit = most + std::max(kAhead, 4 * static_cast<std::uint32_t>(members.size()));
  return limit - std::min(limit, spans - fresh.count());
}

void Origin::State::take(MemberId id, Member& member, std::uint32_t count, Instant now, std::vector<std::uint32_t>& out) {
  for (std::uint32_t i = member.cursor / 64; i < fresh.words() && out.size() < count; ++i) {
    std::uint64_t bits = fresh.word(i) & ~member.have.word(i);
    if (i == member.cursor / 64) bits &= ~std::uint64_t{0} << (member.cursor % 64);
    for (; bits != 0 && out.size() < count; bits &= bits - 1) {
      const std::uint32_t span = i * 64 + static_cast<std::uint32_t>(std::countr_zero(bits));
      member.cursor = span + 1;
      if (member.expects(span)) continue;
      claim(id, member, span, now);
      out.push_back(span);
    }
  }
  if (out.size() < count) member.cursor = spans;
}

Origin::Origin(std::uint32_t span_count) : state_(std::make_unique<State>(span_count)) {}
Origin::~Origin() = default;
Origin::Origin(Origin&&) noexcept = default;
Origin& Origin::operator=(Origin&&) noexcept = default;

void Origin::join(MemberId member, Bitmap have, Instant now, bool serves) {
  leave(member);
  if (have.size() != state_->spans) have = Bitmap(state_->spans);
  Member& joined = state_->members[member];
  joined.have = std::move(have);
  joined.serves = serves;
  joined.heard = now;
  state_->count_holdings(joined, true);
}

void Origin::leave(MemberId member) {
  auto node = state_->members.extract(member);
  if (node.empty()) return;
  Member& gone = node.mapped();
  if (!gone.silent) state_->count_holdings(gone, false);
  for (const Coming& coming : gone.coming) {
    if (!coming.lost) state_->unclaim(coming.span);
  }
}

void Origin::has(MemberId member, std::uint32_t span, Instant now) {
  Member* who = state_->find(member);
  if (who == nullptr || span >= state_->spans) return;
  state_->touch(*who, now);
  if (!who->have.set(span)) return;
  if (who->serves) state_->hold(span, true);
  const auto claim = who->find(span);
  if (claim == who->coming.end()) return;
  state_->usual += (now - claim->since - state_->usual) / 8;
  const bool lost = claim->lost;
  who->coming.erase(claim);
  if (!lost) state_->unclaim(span);
}

void Origin::heard(MemberId member, bool finished, Instant now) {
  Member* who = state_->find(member);
  if (who == nullptr) return;
  state_->touch(*who, now);
  who->finished = finished;
}

std::vector<std::uint32_t> Origin::allot(MemberId member, std::uint32_t count, Instant now) {
  std::vector<std::uint32_t> out;
  Member* who = state_->find(member);
  if (who == nullptr) return out;
  state_->touch(*who, now);
  state_->sweep(now);
  if (state_->better_elsewhere(*who, now)) return out;
  count = std::min(count, state_->room_ahead());
  state_->take(member, *who, count, now, out);
  if (out.size() < count) {
    state_->expire_claims(now, std::max(kLostAfter, 2 * state_->usual));
    state_->take(member, *who, count, now, out);
  }
  return out;
}

void Origin::asked(MemberId member, std::uint32_t span, Instant now) {
  Member* who = state_->find(member);
  if (who == nullptr || span >= state_->spans) return;
  state_->touch(*who, now);
  state_->claim(member, *who, span, now);
}

std::uint32_t Origin::active(Instant now) const {
  return static_cast<std::uint32_t>(std::ranges::count_if(
      state_->members, [&](const auto& m) { return !m.second.finished && now - m.second.heard < kActiveFor; }));
}

std::uint32_t Origin::members() const { return static_cast<std::uint32_t>(state_->members.size()); }
bool Origin::known(MemberId member) const { return state_->members.contains(member); }

}  // namespace stampede::swarm

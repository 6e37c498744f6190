#include "transport/multicast/membership.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace stampede::multicast {
namespace {

constexpr double kFreeRepair = 4096;  // symbols that a member may cause before its share is looked at

}  // namespace

void Membership::add(std::uint32_t span) {
  if (++lacking_[span] == 1) lacked_.set(span);
}
void Membership::remove(std::uint32_t span) {
  if (--lacking_[span] == 0) lacked_.clear(span);
}

void Membership::count(const Member& member, bool adding) {
  counting_ += adding ? 1 : -1;
  const Bitmap& settled = member.settled;
  for (std::uint32_t i = 0; i < settled.words(); ++i) {
    std::uint64_t word = ~settled.word(i);
    if (const std::uint32_t left = settled.size() - i * 64; left < 64) word &= (std::uint64_t{1} << left) - 1;
    for (; word != 0; word &= word - 1) {
      const std::uint32_t span = i * 64 + static_cast<std::uint32_t>(std::countr_zero(word));
      adding ? add(span) : remove(span);
    }
  }
}

void Membership::join(MemberId id, Bitmap have, std::uint64_t sequence, Instant now, std::vector<std::uint32_t> elsewhere) {
  leave(id);
  if (have.size() != lacked_.size()) have = Bitmap(lacked_.size());
  for (const std::uint32_t span : withdrawn_) have.set(span);
  std::erase_if(elsewhere, [&](std::uint32_t span) { return span >= have.size() || !have.set(span); });
  Member& member = members_[id];
  member.settled = std::move(have);
  member.since = sequence;
  member.heard = now;
  member.told = withdrawn_.size();
  member.left_to_peers = std::move(elsewhere);
  count(member, true);
}

void Membership::leave(MemberId id) {
  const auto node = members_.extract(id);
  if (!node.empty() && node.mapped().counts()) count(node.mapped(), false);
}

Membership::Member* Membership::find(MemberId id) {
  const auto found = members_.find(id);
  return found == members_.end() ? nullptr : &found->second;
}

std::uint32_t Membership::trailing() const {
  return static_cast<std::uint32_t>(std::ranges::count_if(members_, [](const auto& m) { return m.second.trailing; }));
}

std::size_t Membership::unfinished() const {
  return static_cast<std::size_t>(std::ranges::count_if(members_, [](const auto& m) { return !m.second.settled.full(); }));
}

void Membership::settle(Member& member, std::uint32_t span) {
  if (span < member.settled.size() && member.settled.set(span) && member.counts()) remove(span);
}

void Membership::withdraw(std::uint32_t span) {
  for (auto& [id, member] : members_) settle(member, span);
  withdrawn_.push_back(span);
}

bool Membership::few_lack(std::uint32_t span, const Limits& limits) const {
  const auto few = static_cast<std::uint32_t>(limits.few * static_cast<double>(counting_));
  return lacking_[span] < counting_ && lacking_[span] <= std::max(1U, few);
}

void Membership::leave_to_peers(std::uint32_t span) {
  for (auto& [id, member] : members_) {
    if (!member.counts() || !member.settled.set(span)) continue;
    remove(span);
    member.left_to_peers.push_back(span);
  }
}

void Membership::set(Member& member, bool silent, bool trailing) {
  const bool before = member.counts();
  member.silent = silent;
  member.trailing = trailing;
  if (member.counts() != before) count(member, !before);
}

void Membership::heard(Member& member, Instant now) {
  member.heard = now;
  set(member, false, member.trailing);
}

std::vector<double> Membership::losses() const {
  std::vector<double> out;
  for (const auto& [id, member] : members_) {
    if (member.counts()) out.push_back(member.loss);
  }
  return out;
}

void Membership::review(const Limits& limits, std::uint64_t sequence, Duration silence, Instant now) {
  std::vector<double> losses;
  for (const auto& [id, member] : members_) {
    if (now - member.heard < silence) losses.push_back(member.loss);
  }
  bearable_ = 1;
  if (losses.size() > 1) {
    const auto few = std::max<std::size_t>(1, static_cast<std::size_t>(limits.few * static_cast<double>(losses.size())));
    const auto worst = losses.begin() + static_cast<std::ptrdiff_t>(few);
    std::ranges::nth_element(losses, worst, std::greater{});
    bearable_ = 2 * *worst + limits.tolerance;
  }
  for (auto& [id, member] : members_) {
    const auto sent = static_cast<double>(sequence - member.since);
    const bool trails =
        member.deaf || member.loss > bearable_ || static_cast<double>(member.caused) > kFreeRepair + bearable_ * sent;
    set(member, now - member.heard >= silence, trails);
  }
}

}  // namespace stampede::multicast

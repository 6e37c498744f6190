#include "transport/multicast/rate.h"

#include <algorithm>
#include <functional>

namespace stampede::multicast {
namespace {

using namespace std::chrono_literals;

constexpr double kGrowth = 0.02;       // of the cap, each kReaction that the decisive member is content
constexpr double kProbe = 0.5;         // of the rate, the same at the beginning
constexpr double kShrink = 0.8;        // of the rate, when it loses more than is bearable
constexpr double kLeast = 0.4;         // of the rate that is left by one step
constexpr Duration kFresh = 3s;        // what was reported before says nothing
constexpr double kFarBelow = 0.10;     // more loss than is bearable to the decisive one: below the floor of the group
constexpr double kLessened = 0.75;     // of the loss, which a cut should leave at most
constexpr double kMostInherent = 0.4;  // what loses more is no link
constexpr Duration kTrust = 2s;        // in that, at first
constexpr Duration kMostTrust = 30s;
constexpr Duration kTrial = 500ms;
constexpr double kMargin = 1.2;    // over the link's own loss
constexpr double kHalfFull = 0.5;  // with a longer backlog it grows no more
constexpr double kRefill = 1;      // of the rate, as it grows again when a backlog is gone
// Of the backlog that was there before: less and it shrinks, more and it grows.
constexpr double kShrinks = 0.95;
constexpr double kGrows = 1.05;
constexpr double kNudge = 0.9;  // of the rate, when it does neither
constexpr std::size_t kFew = 1;

}  // namespace

Rate::Rate(const RateConfig& config)
    : config_(config),
      rate_(std::clamp(std::min(config.cap * config.start, config.start_limit), std::min(config.floor, config.cap),
                       config.cap)) {}

void Rate::joined(std::uint32_t member) { members_[member] = {}; }
void Rate::left(std::uint32_t member) { members_.erase(member); }

void Rate::report(std::uint32_t member, double loss, std::uint32_t backlog, Instant now) {
  const auto found = members_.find(member);
  if (found == members_.end()) return;
  found->second.loss = loss;
  found->second.backlog = backlog;
  found->second.heard = now;
}

double Rate::fullness(const Standing& standing) const {
  return config_.backlog == 0 ? 0 : static_cast<double>(standing.backlog) / config_.backlog;
}

// How badly a member does: its loss, or what makes a full backlog as bad as loss that is just not bearable.
double Rate::pressure(const Standing& standing) const {
  const double full = fullness(standing);
  return std::max(standing.loss, full > 1 ? config_.bearable * full : 0);
}

// Of those heard of lately, the worst that is not among the few that do not count.
std::optional<Rate::Standing> Rate::decisive(Instant now) const {
  std::vector<Standing> all;
  for (const auto& [id, standing] : members_) {
    if (standing.heard != Instant{} && now - standing.heard < kFresh) all.push_back(standing);
  }
  if (all.empty()) return std::nullopt;
  const auto few = std::max(kFew, static_cast<std::size_t>(config_.quantile * static_cast<double>(all.size())));
  const auto at = all.begin() + static_cast<std::ptrdiff_t>(std::min(few, all.size() - 1));
  std::ranges::nth_element(all, at, std::greater{},
                           [this](const Standing& s) { return std::pair(pressure(s), fullness(s)); });
  return *at;
}

void Rate::find_leavers(double decisive, Instant now) {
  const double limit = std::max(2 * decisive, config_.bearable) + kFarBelow;
  for (auto& [id, standing] : members_) {
    if (pressure(standing) <= limit || standing.heard == Instant{}) {
      standing.worse_since.reset();
    } else if (!standing.worse_since) {
      standing.worse_since = now;
    } else if (now - *standing.worse_since >= kPatience && !standing.told) {
      standing.told = true;
      leavers_.push_back(id);
    }
  }
}

double Rate::at(Instant now) {
  if (stepped_ != Instant{} && now - stepped_ < kReaction) return rate_;
  stepped_ = now;
  const auto worst = decisive(now);
  loss_ = worst ? worst->loss : 0;
  if (config_.fixed) rate_ = *config_.fixed;
  if (config_.fixed || !worst) return rate_;
  find_leavers(pressure(*worst), now);
  step(*worst, now);
  rate_ = std::clamp(rate_, std::min(config_.floor, config_.cap), config_.cap);
  return rate_;
}

void Rate::step(const Standing& worst, Instant now) {
  if (doubts(worst.loss, now)) return;
  inherent_ = std::min(inherent_, worst.loss);
  const double full = fullness(worst);
  const bool loses = worst.loss > kMargin * inherent_ + config_.bearable;
  if (full > 1 || loses) probing_ = false;
  if (full > 1) {
    if (worst.heard > relieved_) relieve(full, now);
  } else if (loses) {
    // Members measure over some time: what they report next is still of the rate before.
    if (now - cut_ >= 3 * kReaction) cut(worst.loss, now);
  } else if (full < kHalfFull) {
    cuts_ = 0;
    full_before_ = 0;
    // Up to where a backlog cut it nothing is lost by trying: disks that were busy seldom are for long.
    const double refill = std::min(kRefill * (1 - full / kHalfFull) * rate_, before_full_ - rate_);
    rate_ += probing_ ? kProbe * rate_ : std::max(kGrowth * config_.cap, refill);
  }
}

// A backlog that shrinks already was cut enough for.
void Rate::relieve(double full, Instant now) {
  const double before = std::exchange(full_before_, full);
  if (full < kShrinks * before) return;
  before_full_ = std::max(before_full_, rate_);
  rate_ *= full > kGrows * before ? std::max(kLeast, 1 / full) : kNudge;
  relieved_ = now;
}

// True: half the rate is being tried.
bool Rate::doubts(double loss, Instant now) {
  if (inherent_ <= config_.bearable) return false;
  if (!trial_ && now >= next_trial_) {
    trial_ = {rate_, now + kTrial};
    rate_ /= 2;
  }
  if (!trial_ || now < trial_->until) return trial_.has_value();
  const bool holds = loss >= kLessened * inherent_;
  if (holds) rate_ = trial_->rate;
  trust_ = holds ? std::min(2 * trust_, kMostTrust) : kTrust;
  next_trial_ = now + trust_;
  trial_.reset();
  return false;
}

void Rate::cut(double loss, Instant now) {
  cut_ = now;
  if (cuts_ > 0 && loss < kLessened * loss_before_) cuts_ = 0;
  if (cuts_ >= kFutile && loss <= kMostInherent) {
    inherent_ = loss;
    trust_ = kTrust;
    next_trial_ = now + trust_;
    rate_ = rate_before_;
    cuts_ = 0;
    return;
  }
  if (cuts_++ == 0) {
    loss_before_ = loss;
    rate_before_ = rate_;
  }
  rate_ *= std::clamp(1 - loss, kLeast, kShrink);
  before_full_ = 0;
}

std::vector<std::uint32_t> Rate::take_leavers() { return std::exchange(leavers_, {}); }

std::size_t Pacer::batch() const { return std::clamp<std::size_t>(kBatchBytes / packet_size_, 1, kBatchPackets); }

std::size_t Pacer::room(Instant now, double bytes_per_second) {
  bytes_per_second_ = bytes_per_second;
  if (now < due_) return 0;
  due_ = due_ == Instant{} ? now : std::max(due_, now - time_of(kSlackBytes));
  return batch();
}

void Pacer::sent(std::size_t packets) { due_ += time_of(packets * packet_size_); }

Duration Pacer::time_of(std::size_t bytes) const {
  return Duration(static_cast<Duration::rep>(static_cast<double>(bytes) / bytes_per_second_ * 1e9));
}

}  // namespace stampede::multicast

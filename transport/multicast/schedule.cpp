#include "transport/multicast/schedule.h"

#include <algorithm>
#include <bit>

namespace stampede::multicast {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMostAhead = 512;  // spans
constexpr Duration kLookEvery = 10ms;    // when there was nothing

}  // namespace

Schedule::Schedule(const Shape& shape)
    : window_(std::clamp<std::size_t>(kWindowGenerations * kSymbolSize / shape.symbol_size, 1, kWindowGenerations)),
      sent_at_(shape.span_count),
      busy_(shape.span_count) {}

std::uint32_t Schedule::stamp(Instant now) {
  return static_cast<std::uint32_t>(now.time_since_epoch() / 1ms) | 1;  // wraps in 49 days; that costs a wait at most
}

std::optional<std::uint32_t> Schedule::find(const Membership& members, Duration settling, Instant now) {
  const Bitmap& lacked = members.lacked();
  const auto settled = static_cast<std::uint32_t>(settling / 1ms);
  for (std::uint32_t i = cursor_ / 64; i < lacked.words(); ++i) {
    std::uint64_t word = lacked.word(i) & ~busy_.word(i);
    if (i == cursor_ / 64) word &= ~std::uint64_t{0} << (cursor_ % 64);
    for (; word != 0; word &= word - 1) {
      const std::uint32_t span = i * 64 + static_cast<std::uint32_t>(std::countr_zero(word));
      if (sent_at_[span] == 0 || stamp(now) - sent_at_[span] > settled) return span;
    }
  }
  return std::nullopt;
}

void Schedule::renew(const Bitmap& settled) {
  for (std::uint32_t span = 0; span < settled.size(); ++span) {
    if (!settled.test(span) && !busy_.test(span)) sent_at_[span] = 0;
  }
  look_again_ = {};
}

double Schedule::generations_ahead() const {
  double sum = 0;
  for (const Planned& p : planned_) sum += p.frame ? p.frame->layout().generations() : usual_generations_;
  return sum;
}

std::vector<std::uint32_t> Schedule::look_ahead(const Membership& members, Duration settling, Instant now) {
  std::vector<std::uint32_t> out;
  if (now < look_again_) return out;
  const auto enough = 2.0 * static_cast<double>(window_);
  for (double ahead = generations_ahead(); ahead < enough && planned_.size() < kMostAhead; ahead += usual_generations_) {
    auto span = find(members, settling, now);
    if (!span && cursor_ > 0) {
      cursor_ = 0;
      span = find(members, settling, now);
    }
    if (!span) {
      look_again_ = now + kLookEvery;
      break;
    }
    passes_ += *span < last_ ? 1 : 0;
    last_ = *span;
    cursor_ = *span + 1;
    busy_.set(*span);
    planned_.push_back({*span, nullptr});
    out.push_back(*span);
  }
  return out;
}

void Schedule::provide(std::uint32_t span, const std::shared_ptr<const Shelved>& frame) {
  const auto found = std::ranges::find(planned_, span, &Planned::span);
  if (found == planned_.end()) return;
  found->frame = frame;
  usual_generations_ += (frame->layout().generations() - usual_generations_) / 16;
}

void Schedule::unavailable(std::uint32_t span) {
  if (std::erase_if(planned_, [&](const Planned& p) { return p.span == span; }) > 0) busy_.clear(span);
}

std::optional<Window> Schedule::take(const Membership& members) {
  std::erase_if(planned_, [&](const Planned& p) {
    if (members.is_lacked(p.span)) return false;
    busy_.clear(p.span);
    return true;
  });
  std::size_t ready = 0;
  std::size_t generations = 0;
  for (; ready < planned_.size() && planned_[ready].frame && generations < window_; ++ready)
    generations += planned_[ready].frame->layout().generations();
  const bool waiting = ready < planned_.size() && !planned_[ready].frame;
  if (ready == 0 || (waiting && generations < window_)) return std::nullopt;
  Window out;
  for (; ready > 0; --ready, planned_.pop_front()) out.add(planned_.front().span, std::move(planned_.front().frame));
  return out;
}

void Schedule::done(const Window& window) {
  for (const std::uint32_t span : window.spans()) busy_.clear(span);
}

}  // namespace stampede::multicast

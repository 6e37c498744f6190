// What a picker knows of one source as a server of requests: what is asked of it, how long it usually takes, and how much
// may be asked at once. Private to this room.
//
// The window follows the time that an answer waits, that is, by how much it exceeds the shortest one seen: it grows while
// answers hardly wait and shrinks when they do, so that a slow source never holds many spans back, and one that is asked by
// many is not queued at while others are idle. Simulated, 256 equal nodes and 500 spans take 1.29 times the line's time with
// the limits below, 1.55 with 150 and 300 ms.
#pragma once

#include <algorithm>
#include <vector>

#include "src/base/seams.h"
#include "transport/swarm/picker.h"

namespace stampede::swarm {

// In place of a span: one of those that the depot chooses.
inline constexpr std::uint32_t kAny = ~std::uint32_t{0};
inline constexpr Duration kShortWait = std::chrono::milliseconds(30);
inline constexpr Duration kLongWait = std::chrono::milliseconds(60);

// If the shortest was longer, it waited too.
inline constexpr Duration kLongestBase = std::chrono::milliseconds(200);
// One on its way while another is being sent.
inline constexpr std::uint32_t kLeastWindow = 2;

struct Asked {
  std::uint32_t span = 0;
  Instant at;
  Instant deadline;
  std::uint32_t place = 1;  // in the source's queue when it was asked, as far as we fill it
  bool live = true;         // false: overdue or not needed any more; the answer is still to come, but takes no credit
};

class Source {
 public:
  explicit Source(std::uint32_t max_window)
      : max_window_(std::max(1U, max_window)), window_(std::min(kLeastWindow, max_window_)) {}

  const std::vector<Asked>& asked() const { return asked_; }
  std::vector<Asked>& asked() { return asked_; }
  std::uint32_t busy() const { return static_cast<std::uint32_t>(asked_.size()); }
  std::uint32_t room() const { return window_ > busy() ? window_ - busy() : 0; }
  // Of a source that serves nobody else.
  std::uint32_t whole_room() const { return max_window_ > busy() ? max_window_ - busy() : 0; }
  std::uint32_t max_window() const { return max_window_; }
  Duration usual() const { return usual_; }
  // The usual time, or longer if what is asked now has already waited longer.
  Duration expected(Instant now) const { return asked_.empty() ? usual_ : std::max(usual_, now - asked_.front().at); }
  // The same for one span of several that are asked at once.
  Duration per_span(Instant now) const {
    return asked_.empty() ? per_span_ : std::max(per_span_, (now - asked_.front().at) / asked_.front().place);
  }

  auto find(std::uint32_t span) { return std::ranges::find(asked_, span, &Asked::span); }
  bool has_asked(std::uint32_t span) const { return std::ranges::find(asked_, span, &Asked::span) != asked_.end(); }

  void ask(std::uint32_t span, Instant now) {
    asked_.push_back({span, now, {}, busy() + 1});
    wait_on(asked_.back(), now);
  }
  // As long again from now on.
  void wait_on(Asked& request, Instant now) {
    request.live = true;
    request.deadline = now + std::max(kRequestTimeout, 4 * usual_);
  }
  // Its answer came.
  void answered(std::vector<Asked>::iterator request, Instant now) {
    const Duration took = now - request->at;
    least_ = std::min(least_, took);
    const int weight = usual_ == Duration{} ? 1 : 4;
    usual_ += (took - usual_) / weight;
    per_span_ += (took / request->place - per_span_) / weight;
    const Duration base = std::min(least_, kLongestBase);
    if (took - base < kShortWait) window_ = std::min(max_window_, window_ + 1);
    if (took - base > kLongWait) window_ = std::max(std::min(kLeastWindow, max_window_), window_ - 1);
    asked_.erase(request);
  }
  // Its time has passed; the answer may still come.
  void overdue(Asked& request, Instant now) {
    request.live = false;
    usual_ = std::max(usual_, now - request.at);
    window_ = 1;
  }

 private:
  std::uint32_t max_window_;
  std::uint32_t window_;
  Duration usual_{};
  Duration per_span_{};
  Duration least_ = Duration::max();
  std::vector<Asked> asked_;  // oldest first
};

}  // namespace stampede::swarm

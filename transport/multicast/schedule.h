// Which spans go out next: those that are lacked and did not go out lately, in ascending order and round again, with their
// frames fetched ahead. Private to this room.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "transport/multicast/membership.h"
#include "transport/multicast/shelf.h"
#include "transport/multicast/window.h"

namespace stampede::multicast {

class Schedule {
 public:
  explicit Schedule(const Shape& shape);

  // A symbol of the span left.
  void sent(std::uint32_t span, Instant now) { sent_at_[span] = stamp(now); }
  // A member lacks these, so they go out again.
  void renew(const Bitmap& settled);
  // Looks two windows ahead; spans that went out within `settling` are not taken again. Names those that are new in it.
  std::vector<std::uint32_t> look_ahead(const Membership& members, Duration settling, Instant now);
  void provide(std::uint32_t span, const std::shared_ptr<const Shelved>& frame);
  void unavailable(std::uint32_t span);

  // The next window, as soon as its frames are there.
  std::optional<Window> take(const Membership& members);
  // Nothing is planned.
  bool empty() const { return planned_.empty(); }
  // The window went out.
  void done(const Window& window);

  std::uint32_t passes() const { return passes_; }

 private:
  struct Planned {
    std::uint32_t span;
    std::shared_ptr<const Shelved> frame;
  };
  static std::uint32_t stamp(Instant now);
  std::optional<std::uint32_t> find(const Membership& members, Duration settling, Instant now);
  double generations_ahead() const;

  std::size_t window_;                  // generations
  std::vector<std::uint32_t> sent_at_;  // in milliseconds, 0: never
  Bitmap busy_;                         // planned or going out
  std::deque<Planned> planned_;
  std::uint32_t cursor_ = 0;
  std::uint32_t last_ = 0;
  std::uint32_t passes_ = 0;
  double usual_generations_ = 4;
  Instant look_again_{};
};

}  // namespace stampede::multicast

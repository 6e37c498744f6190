#include "src/deploy/meanwhile.h"

#include <algorithm>
#include <utility>

namespace stampede::deploy {

namespace {
constexpr std::size_t kWorthTelling = 32;
}

Meanwhile::Meanwhile(const Plan& plan, Receiver& receiver, net::Node& node, std::span<const Move> moves)
    : plan_(plan), receiver_(receiver), node_(node), unsettled_(static_cast<std::uint32_t>(plan.spans().size())) {
  for (const Move& move : moves) unsettled_.set(move.chunk.span.value);
  tell();
}

// Of what is in its place, and of what nobody is asked for yet, nobody need be told.
void Meanwhile::tell() {
  Bitmap skip = receiver_.placed();
  skip.set_all(unsettled_);
  node_.hold_parts(plan_.lacking_parts(skip), unsettled_);
}

void Meanwhile::settled(std::span<const chunker::SpanIndex> spans) {
  for (const chunker::SpanIndex span : spans) {
    unsettled_.clear(span.value);
    if (!plan_.holds(span)) {
      ++untold_;
      continue;
    }
    receiver_.was_placed(span);
    node_.had(span);
  }
  // Each time depot and peers are told all of it: the more that is, the less often. In the end about a fifth is untold.
  if (untold_ < std::max(kWorthTelling, told_ / 4)) return;
  tell();
  told_ += std::exchange(untold_, 0);
}

}  // namespace stampede::deploy

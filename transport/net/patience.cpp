#include "transport/net/patience.h"

namespace stampede::net {

Error Patience::why() const {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limit_).count();
  if (!ever_up_)
    return {Code::unreachable,
            fmt::format("no depot at {} after {} s ({}); check the address and that `stampede serve` runs there",
                        depot_.text(), seconds, last_error_)};
  if (up_)
    return {Code::patience_ended, fmt::format("the depot at {} has given no answer for {} s", depot_.text(), seconds)};
  return {Code::patience_ended, fmt::format("the depot at {} has been away for {} s and no peer has what is missing ({})",
                                            depot_.text(), seconds, last_error_)};
}

std::string Patience::warning(Instant now) {
  if (up_ || warned_ || gone_for(now) < kQuietWait) return {};
  warned_ = true;
  return waiting_text(depot_, limit_, last_error_);
}

}  // namespace stampede::net

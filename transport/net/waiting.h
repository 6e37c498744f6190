// What is said while a depot does not answer.
#pragma once

#include <string>
#include <string_view>

#include "src/base/seams.h"
#include "transport/net/endpoint.h"

namespace stampede::net {

// A depot that is just restarting is not worth a word.
inline constexpr Duration kQuietWait = std::chrono::seconds(2);

inline std::string waiting_text(const Endpoint& depot, Duration patience, std::string_view why) {
  return fmt::format("waiting for the depot at {}, for {} s at most ({})", depot.text(),
                     std::chrono::duration_cast<std::chrono::seconds>(patience).count(), why);
}

}  // namespace stampede::net

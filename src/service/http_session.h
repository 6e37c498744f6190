// One connection to the depot's HTTP side, request after request. Not for others than http_bridge.cpp and http_session.cpp,
// which share the cost of Beast's headers through it: only a pointer to what it needs is here.
#pragma once

#include <functional>
#include <memory>

#include "src/service/http_bridge.h"
#include "src/service/http_content.h"

namespace stampede::service {

class HttpSession {
 public:
  // What a connection has had, for the log.
  struct Sums {
    std::uint64_t requests = 0, chunks = 0, bytes = 0;
  };
  using Gone = std::function<void(const Sums& sums)>;

  virtual ~HttpSession() = default;
  virtual void start() = 0;
  // Ends at once if it waits for a request, else after its answer. Any thread.
  virtual void finish() = 0;
  // Waiting for a request, or for the rest of one. Any thread.
  virtual bool is_waiting() const = 0;
};

}  // namespace stampede::service

// Who has asked what an image is, or has joined its swarm since, and has yet to listen to its multicast stream: most do so
// in a moment, when their disk is ready, and the stream had better not start without them. Others only wanted to know, or
// take no multicast: they count as well, and not for long. Loop thread only.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "chunker/types.h"
#include "src/base/seams.h"

namespace stampede::service {

// Counted from the question, and anew from the joining. Whoever takes longer reads a large disk, or will not come.
inline constexpr Duration kListensWithin = std::chrono::seconds(2);

class Expected {
 public:
  // Given back when it listens, or is gone.
  using Place = std::shared_ptr<const Instant>;

  Place add(const chunker::ImageId& image, Instant now);
  bool any(const chunker::ImageId& image, Instant now) const;

 private:
  using Places = std::vector<std::weak_ptr<const Instant>>;  // until when each counts

  std::map<chunker::ImageId, Places> places_;  // what does not count any more goes with the next add()
};

}  // namespace stampede::service

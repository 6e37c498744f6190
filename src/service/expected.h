// Who has asked what an image is and has yet to join its swarm: most do so in a moment, and a multicast stream of that image
// had better not start without them. Loop thread only.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "chunker/types.h"
#include "src/base/seams.h"

namespace stampede::service {

// Whoever has not joined after so long reads a large disk, or only wanted to know.
inline constexpr Duration kJoinsWithin = std::chrono::seconds(2);

class Expected {
 public:
  // Given back when it has joined, or is gone.
  using Place = std::shared_ptr<const Instant>;

  Place add(const chunker::ImageId& image, Instant now);
  bool any(const chunker::ImageId& image, Instant now) const;

 private:
  using Places = std::vector<std::weak_ptr<const Instant>>;  // until when each counts

  std::map<chunker::ImageId, Places> places_;  // what does not count any more goes with the next add()
};

}  // namespace stampede::service

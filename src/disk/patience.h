// A writer that was killed holds its disk until the kernel has ended its last writes: a second run that comes at once waits
// for that, and not for longer.
#pragma once

#include <chrono>
#include <thread>

namespace stampede::disk {

// Tries until it succeeds, for about a second. Did it?
template <class Attempt>
bool with_patience(Attempt&& attempt) {
  using namespace std::chrono_literals;
  for (int tries = 0; tries < 20; ++tries) {
    if (attempt()) return true;
    std::this_thread::sleep_for(50ms);
  }
  return attempt();
}

}  // namespace stampede::disk

// The same work on many things with all cores, while the calling thread reports how far it is.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>

#include "src/base/error.h"

namespace stampede::chunker {

// What one thread does with the thing of that index. Made once for each thread, so it can hold contexts and buffers.
using Job = std::move_only_function<Result<>(std::size_t index)>;

// 0 means as many threads as there are cores.
unsigned thread_count(unsigned wanted);

// Does 0 … count-1, handed out in that order, and returns when every thread has ended. The first error stops the rest and is
// returned. `tick` (may be empty) is called every `period` from the calling thread, and once at the end.
Result<> run_parallel(unsigned threads, std::size_t count, const std::function<Job()>& make_job,
                      const std::function<void()>& tick, std::chrono::milliseconds period = std::chrono::milliseconds(100));

}  // namespace stampede::chunker

#include "chunker/parallel.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace stampede::chunker {
namespace {

struct Shared {
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  std::condition_variable ended;
  std::size_t running = 0;  // guarded by mutex, as is result
  Result<> result;
};

void run(Shared& shared, std::size_t count, Job job) {
  Result<> result;
  while (result) {
    const std::size_t index = shared.next.fetch_add(1);
    if (index >= count) break;
    result = job(index);
  }
  const std::lock_guard lock(shared.mutex);
  if (!result) {
    shared.next = count;
    if (shared.result) shared.result = std::move(result);
  }
  --shared.running;
  shared.ended.notify_all();
}

}  // namespace

unsigned thread_count(unsigned wanted) { return wanted > 0 ? wanted : std::max(1U, std::thread::hardware_concurrency()); }

Result<> run_parallel(unsigned threads, std::size_t count, const std::function<Job()>& make_job,
                      const std::function<void()>& tick, std::chrono::milliseconds period) {
  Shared shared;
  shared.running = std::min<std::size_t>(thread_count(threads), count);
  std::vector<std::jthread> workers;
  for (std::size_t left = shared.running; left > 0; --left)
    workers.emplace_back([&shared, count, job = make_job()]() mutable { run(shared, count, std::move(job)); });
  {
    std::unique_lock lock(shared.mutex);
    while (!shared.ended.wait_for(lock, period, [&] { return shared.running == 0; })) {
      lock.unlock();
      if (tick) tick();
      lock.lock();
    }
  }
  workers.clear();
  if (tick) tick();
  return std::move(shared.result);
}

}  // namespace stampede::chunker

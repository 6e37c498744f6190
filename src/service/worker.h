// A thread for what would hold up the depot's loop. It has three: one for the catalog, whose writes wait for the disk, and
// for manifests, one for reading packs, and one for what is pushed.
#pragma once

#include <functional>
#include <thread>

#include "src/base/queue.h"
#include "transport/net/loop.h"

namespace stampede::service {

class Worker {
 public:
  // Runs on the worker; what it returns runs on the loop.
  using Work = std::function<std::function<void()>()>;

  // The loop outlives the worker.
  explicit Worker(net::Loop& loop);
  // Waits for the work under way; the rest is dropped.
  ~Worker();
  void run(Work work);

 private:
  void work();

  net::Loop& loop_;
  Queue<Work> queue_;  // at most one for each session, and the audits, or what the streams look ahead
  std::thread thread_;
};

}  // namespace stampede::service

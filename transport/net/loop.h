// One event loop on one thread: where sockets and timers live. Asio's home begins here; no public header of this room
// shows it, so that only this room's .cpp files pay for compiling it.
#pragma once

#include <functional>
#include <memory>

#include "src/base/seams.h"

namespace stampede::net {

class Loop {
 public:
  // Starts the thread.
  Loop();
  // Stops the loop and joins the thread. Handlers that have not run are dropped.
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs `task` on the loop's thread, soon. From any thread.
  void post(std::function<void()> task);
  // Runs `task` on the loop's thread and waits for it. Not from the loop's thread.
  void run_and_wait(std::function<void()> task);
  bool on_loop() const;
  // Stops accepting new work and ends the thread; idempotent. Not from the loop's thread.
  void stop();

  struct Impl;  // io_context, for this room alone
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

// Calls `tick` on the loop's thread every `period` until destroyed (on the loop's thread, or after the loop has stopped).
class Ticker {
 public:
  Ticker(Loop& loop, Duration period, std::function<void()> tick);
  ~Ticker();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// A one-shot timer that can be set again. Loop thread only.
class Alarm {
 public:
  Alarm(Loop& loop, std::function<void()> ring);
  ~Alarm();
  void set(Instant when);
  void cancel();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace stampede::net

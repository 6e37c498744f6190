#include "transport/net/loop.h"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <future>

#include "transport/net/loop_impl.h"

namespace stampede::net {

Loop::Loop() : impl_(std::make_unique<Impl>()) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to sockets that the other side may have closed
  impl_->thread = std::thread([this] { impl_->context.run(); });
}

Loop::~Loop() { stop(); }

void Loop::stop() {
  if (!impl_->thread.joinable()) return;
  // What was posted before runs first, and what that posted: closing connections let go of their owners there.
  for (int i = 0; i < 2; ++i) run_and_wait([] {});
  impl_->work.reset();
  impl_->context.stop();
  if (impl_->thread.joinable()) impl_->thread.join();
}

void Loop::post(std::function<void()> task) { boost::asio::post(impl_->context, std::move(task)); }

void Loop::run_and_wait(std::function<void()> task) {
  std::promise<void> done;
  boost::asio::post(impl_->context, [&] {
    task();
    done.set_value();
  });
  done.get_future().wait();
}

bool Loop::on_loop() const { return std::this_thread::get_id() == impl_->thread.get_id(); }

struct Ticker::State : std::enable_shared_from_this<Ticker::State> {
  State(boost::asio::io_context& context, Duration period, std::function<void()> tick)
      : timer(context), period(period), tick(std::move(tick)) {}
  void arm() {
    timer.expires_after(period);
    timer.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (error || self->stopped) return;
      self->tick();
      if (!self->stopped) self->arm();
    });
  }
  boost::asio::steady_timer timer;
  Duration period;
  std::function<void()> tick;
  bool stopped = false;
};

Ticker::Ticker(Loop& loop, Duration period, std::function<void()> tick)
    : state_(std::make_shared<State>(loop.impl().context, period, std::move(tick))) {
  loop.post([state = state_] {
    if (!state->stopped) state->arm();
  });
}

Ticker::~Ticker() {
  state_->stopped = true;
  state_->timer.cancel();
}

struct Alarm::State : std::enable_shared_from_this<Alarm::State> {
  State(boost::asio::io_context& context, std::function<void()> ring) : timer(context), ring(std::move(ring)) {}
  boost::asio::steady_timer timer;
  std::function<void()> ring;
  std::uint64_t round = 0;
};

Alarm::Alarm(Loop& loop, std::function<void()> ring)
    : state_(std::make_shared<State>(loop.impl().context, std::move(ring))) {}

Alarm::~Alarm() { cancel(); }

void Alarm::set(Instant when) {
  const std::uint64_t round = ++state_->round;
  state_->timer.expires_at(when);
  state_->timer.async_wait([state = state_, round](const boost::system::error_code& error) {
    if (!error && state->round == round) state->ring();
  });
}

void Alarm::cancel() {
  ++state_->round;
  state_->timer.cancel();
}

}  // namespace stampede::net

#include "src/disk/ring.h"

#include <algorithm>
#include <cerrno>
#include <future>

#include "src/disk/raw_disk.h"

namespace stampede::disk {

struct Ring::Flight {
  Transfer transfer;
  std::size_t done = 0;
};

Ring::Ring(EngineOptions options, std::vector<MutableBytes> buffers, ErrorLatch& latch, Faults faults)
    : options_(std::move(options)), buffers_(std::move(buffers)), latch_(latch), faults_(std::move(faults)) {}

Result<std::unique_ptr<Ring>> Ring::open(EngineOptions options, std::vector<MutableBytes> buffers, ErrorLatch& latch,
                                         Faults faults) {
  std::unique_ptr<Ring> ring(new Ring(std::move(options), std::move(buffers), latch, std::move(faults)));
  // The kernel wants a single-issuer ring to be made by the thread that uses it.
  std::promise<Result<>> promise;
  auto started = promise.get_future();
  ring->thread_ = std::thread(
      [&ring = *ring, &promise] { ring.run([&promise](Result<> result) { promise.set_value(std::move(result)); }); });
  STAMPEDE_CHECK(started.get());
  return ring;
}

Ring::~Ring() { stop(); }

void Ring::stop() {
  if (!thread_.joinable()) return;
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
    if (engine_) engine_->wake();  // under the lock: who sees the stop lets the engine go
  }
  thread_.join();
}

void Ring::submit(std::vector<Transfer> transfers) {
  {
    const std::scoped_lock lock(mutex_);
    std::ranges::move(transfers, std::back_inserter(queue_));
    if (!must_wake()) return;
  }
  engine_->wake();
}

void Ring::post(std::function<void()> work) {
  {
    const std::scoped_lock lock(mutex_);
    posted_.push_back(std::move(work));
    if (!must_wake()) return;
  }
  engine_->wake();
}

bool Ring::must_wake() { return std::this_thread::get_id() != self_ && !std::exchange(woken_, true); }

void Ring::run(std::function<void(Result<>)> started) {
  self_ = std::this_thread::get_id();
  auto engine = open_engine(options_);
  if (!engine) return started(std::unexpected(std::move(engine).error()));
  engine_ = std::move(*engine);
  name_ = engine_->name();
  started({});
  engine_->register_buffers(buffers_);
  loop();
  engine_.reset();
}

void Ring::loop() {
  while (true) {
    take_queue();
    fill_engine();
    bool queued = false;
    {
      const std::scoped_lock lock(mutex_);
      queued = !queue_.empty() || !posted_.empty();
      if (stop_ && in_flight_ == 0 && !queued) return;
    }
    engine_->wait(!queued && landings_.empty(), landings_);
    for (const Completion& landing : std::exchange(landings_, {})) landed(static_cast<Flight*>(landing.tag), landing.result);
  }
}

void Ring::take_queue() {
  std::vector<std::function<void()>> posted;
  bool stop = false;
  {
    const std::scoped_lock lock(mutex_);
    std::ranges::move(queue_, std::back_inserter(waiting_));
    queue_.clear();
    posted.swap(posted_);
    woken_ = false;
    stop = stop_;
  }
  for (const auto& work : posted) work();
  if (!stop) return;
  for (Transfer& transfer : std::exchange(waiting_, {}))
    transfer.done(fail(Code::interrupted, "writing {} was interrupted", options_.path));
}

void Ring::fill_engine() {
  while (in_flight_ < options_.depth && (!again_.empty() || !waiting_.empty())) {
    Flight* const flight = next_flight();
    const auto usable = flight->transfer.write ? latch_.check() : Result<>{};
    if (usable)
      start(flight);
    else
      finish(flight, usable);
  }
}

Ring::Flight* Ring::next_flight() {
  if (!again_.empty()) {
    Flight* const flight = again_.front();
    again_.pop_front();
    return flight;
  }
  auto flight = std::make_unique<Flight>(Flight{std::move(waiting_.front())});
  waiting_.pop_front();
  return flight.release();
}

void Ring::start(Flight* flight) {
  const Transfer& transfer = flight->transfer;
  Request request{transfer.write, transfer.at + flight->done, transfer.bytes.subspan(flight->done), transfer.buffer, flight};
  ++in_flight_;
  const auto kind = transfer.write ? Operation::Kind::write : Operation::Kind::read;
  const Fault fault = fault_of(faults_, {kind, request.at, request.bytes.size()});
  if (fault.error != 0) return landings_.push_back({flight, -fault.error});
  request.bytes = request.bytes.first(std::min<std::uint64_t>(request.bytes.size(), fault.most));
  engine_->start(request);
}

void Ring::landed(Flight* flight, int result) {
  --in_flight_;
  const Transfer& transfer = flight->transfer;
  if (result == -EINTR || result == -EAGAIN) {
    again_.push_back(flight);
    return;
  }
  if (result > 0) flight->done += static_cast<std::size_t>(result);
  if (flight->done >= transfer.needed) return finish(flight, {});
  if (result > 0) {
    again_.push_back(flight);
    return;
  }
  // Nothing moved and no errno: a device that ends early, or is full.
  const int error_number = result < 0 ? -result : (transfer.write ? ENOSPC : EIO);
  const Code code = transfer.write ? Code::write_failed : Code::read_failed;
  const Error error = io_error(code, options_.path, transfer.at + flight->done, error_number);
  if (transfer.write) latch_.set(error);
  finish(flight, std::unexpected(error));
}

void Ring::finish(Flight* flight, Result<> result) {
  const std::unique_ptr<Flight> owned(flight);
  owned->transfer.done(std::move(result));
}

}  // namespace stampede::disk

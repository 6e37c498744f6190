#include "src/disk/ring.h"

#include <liburing.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <future>

#include "src/disk/raw_disk.h"

namespace stampede::disk {

struct Ring::Flight {
  Transfer transfer;
  std::size_t done = 0;
};

Ring::Ring(RingOptions options, ErrorLatch& latch) : options_(std::move(options)), latch_(latch) {}

Result<std::unique_ptr<Ring>> Ring::open(RingOptions options, ErrorLatch& latch) {
  const int event = ::eventfd(0, EFD_CLOEXEC);
  if (event < 0) return fail(Code::write_failed, "cannot make an eventfd: {}", errno_text(errno));
  std::unique_ptr<Ring> ring(new Ring(std::move(options), latch));
  ring->event_ = File(event, "eventfd");
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
  }
  wake();
  thread_.join();
}

void Ring::submit(std::vector<Transfer> transfers) {
  {
    const std::scoped_lock lock(mutex_);
    std::ranges::move(transfers, std::back_inserter(queue_));
    if (!must_wake()) return;
  }
  wake();
}

void Ring::post(std::function<void()> work) {
  {
    const std::scoped_lock lock(mutex_);
    posted_.push_back(std::move(work));
    if (!must_wake()) return;
  }
  wake();
}

bool Ring::must_wake() { return std::this_thread::get_id() != self_ && !std::exchange(woken_, true); }

void Ring::wake() {
  const std::uint64_t one = 1;
  while (::write(event_.fd(), &one, sizeof one) < 0 && errno == EINTR) {
  }
}

Result<> Ring::set_up() {
  auto ring = std::make_unique<io_uring>();
  const unsigned entries = options_.depth + 1;  // one for the eventfd
  int error = ::io_uring_queue_init(entries, ring.get(), IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
  if (error == -EINVAL) error = ::io_uring_queue_init(entries, ring.get(), 0);  // kernels before 6.1
  if (error < 0) {
    return fail(Code::write_failed,
                "io_uring cannot be used to write {}: {}; allow it (sysctl kernel.io_uring_disabled=0, the container's "
                "seccomp profile) or raise the limit of locked memory",
                options_.path, errno_text(-error));
  }
  ring_ = std::move(ring);
  // The file is not registered: the kernel lets a ring's files go some time after the ring, and until then the disk would be
  // in use for the next one who opens it with O_EXCL, be it this program's second run.
  std::vector<iovec> buffers;
  for (const MutableBytes bytes : options_.buffers) buffers.push_back({bytes.data(), bytes.size()});
  // Registered buffers save pinning their pages at each transfer; under a tight limit of locked memory it goes without.
  fixed_buffers_ = !buffers.empty() &&
                   ::io_uring_register_buffers(ring_.get(), buffers.data(), static_cast<unsigned>(buffers.size())) == 0;
  return {};
}

void Ring::run(std::function<void(Result<>)> started) {
  self_ = std::this_thread::get_id();
  Result<> result = set_up();
  const bool usable = result.has_value();
  started(std::move(result));
  if (usable) loop();
  if (ring_) ::io_uring_queue_exit(ring_.get());
}

void Ring::loop() {
  arm_wake_up();
  while (true) {
    take_queue();
    fill_ring();
    bool queued = false;
    {
      const std::scoped_lock lock(mutex_);
      queued = !queue_.empty() || !posted_.empty();
      if (stop_ && in_flight_ == 0 && !queued) return;
    }
    const int result = ::io_uring_submit_and_wait(ring_.get(), queued ? 0 : 1);
    if (result < 0 && result != -EINTR && result != -EAGAIN && result != -EBUSY) {
      fmt::print(stderr, "io_uring on {} stopped working: {}\n", options_.path, errno_text(-result));
      std::abort();  // what the kernel has of our memory can no longer be known
    }
    reap();
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

void Ring::fill_ring() {
  while (in_flight_ < options_.depth && (!again_.empty() || !waiting_.empty())) {
    Flight* flight = nullptr;
    if (!again_.empty()) {
      flight = again_.front();
      again_.pop_front();
    } else {
      flight = std::make_unique<Flight>(Flight{std::move(waiting_.front())}).release();
      waiting_.pop_front();
    }
    if (flight->transfer.write) {
      if (auto ok = latch_.check(); !ok) {
        finish(flight, std::move(ok));
        continue;
      }
    }
    prepare(flight);
  }
}

void Ring::prepare(Flight* flight) {
  io_uring_sqe* const sqe = ::io_uring_get_sqe(ring_.get());
  const Transfer& transfer = flight->transfer;
  const MutableBytes rest = transfer.bytes.subspan(flight->done);
  const std::uint64_t at = transfer.at + flight->done;
  const auto size = static_cast<unsigned>(rest.size());
  if (transfer.buffer >= 0 && fixed_buffers_) {
    if (transfer.write)
      ::io_uring_prep_write_fixed(sqe, options_.fd, rest.data(), size, at, transfer.buffer);
    else
      ::io_uring_prep_read_fixed(sqe, options_.fd, rest.data(), size, at, transfer.buffer);
  } else if (transfer.write) {
    ::io_uring_prep_write(sqe, options_.fd, rest.data(), size, at);
  } else {
    ::io_uring_prep_read(sqe, options_.fd, rest.data(), size, at);
  }
  ::io_uring_sqe_set_data(sqe, flight);
  ++in_flight_;
}

void Ring::arm_wake_up() {
  io_uring_sqe* const sqe = ::io_uring_get_sqe(ring_.get());
  ::io_uring_prep_read(sqe, event_.fd(), &event_value_, sizeof event_value_, 0);
  ::io_uring_sqe_set_data(sqe, nullptr);
}

void Ring::reap() {
  io_uring_cqe* cqe = nullptr;
  while (::io_uring_peek_cqe(ring_.get(), &cqe) == 0) {
    auto* const flight = static_cast<Flight*>(::io_uring_cqe_get_data(cqe));
    const int result = cqe->res;
    ::io_uring_cqe_seen(ring_.get(), cqe);
    if (flight == nullptr) {
      arm_wake_up();
      continue;
    }
    --in_flight_;
    landed(flight, result);
  }
}

void Ring::landed(Flight* flight, int result) {
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

#include <libnbd.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "src/base/file.h"
#include "src/disk/engine.h"
#include "src/disk/nbd.h"

namespace stampede::disk {

namespace {

class NbdEngine final : public Engine {
 public:
  NbdEngine(const EngineOptions& options, File event) : nbd_(options.nbd->handle()), event_(std::move(event)) {}

  std::string_view name() const override { return "nbd"; }
  void start(const Request& request) override;
  void wait(bool block, std::vector<Completion>& out) override;
  void wake() override;

 private:
  struct Flight {
    NbdEngine& engine;
    const Request request;
  };
  static int landed(void* flight, int* error);
  void go_on(bool block);

  nbd_handle* const nbd_;
  const File event_;  // eventfd
  bool woken_ = false;
  std::vector<Completion> completions_;
};

// libnbd calls it from within its other calls, hence on the engine's thread. 1: it may forget the command.
int NbdEngine::landed(void* flight, int* error) {
  const std::unique_ptr<Flight> owned(static_cast<Flight*>(flight));
  const Request& request = owned->request;
  const int result = *error == 0 ? static_cast<int>(request.bytes.size()) : -*error;
  owned->engine.completions_.push_back({request.tag, result});
  return 1;
}

void NbdEngine::start(const Request& request) {
  Flight* const flight = std::make_unique<Flight>(Flight{*this, request}).release();  // landed() lets it go
  const nbd_completion_callback done{.callback = landed, .user_data = flight, .free = nullptr};
  const MutableBytes bytes = request.bytes;
  const std::int64_t cookie = request.write ? ::nbd_aio_pwrite(nbd_, bytes.data(), bytes.size(), request.at, done, 0)
                                            : ::nbd_aio_pread(nbd_, bytes.data(), bytes.size(), request.at, done, 0);
  if (cookie >= 0) return;
  const std::unique_ptr<Flight> not_started(flight);
  completions_.push_back({request.tag, -nbd_error(nbd_)});
}

void NbdEngine::wait(bool block, std::vector<Completion>& out) {
  go_on(false);
  while (block && completions_.empty() && !woken_) go_on(true);
  woken_ = false;
  out.insert(out.end(), completions_.begin(), completions_.end());
  completions_.clear();
}

// Sends and receives what can be, of what poll(2) finds ready.
void NbdEngine::go_on(bool block) {
  const unsigned direction = ::nbd_aio_get_direction(nbd_);
  const bool wants_read = (direction & LIBNBD_AIO_DIRECTION_READ) != 0;
  const bool wants_write = (direction & LIBNBD_AIO_DIRECTION_WRITE) != 0;
  const auto events = static_cast<short>((wants_read ? POLLIN : 0) | (wants_write ? POLLOUT : 0));
  // None where the connection is over.
  std::array<pollfd, 2> ready{{{event_.fd(), POLLIN, 0}, {events == 0 ? -1 : ::nbd_aio_get_fd(nbd_), events, 0}}};
  if (::poll(ready.data(), ready.size(), block ? -1 : 0) <= 0) return;
  std::uint64_t count = 0;
  if (ready[0].revents != 0 && ::read(event_.fd(), &count, sizeof count) > 0) woken_ = true;
  if (ready[1].revents == 0) return;
  // What fails here fails each command that was under way, by its callback.
  if (wants_read && (ready[1].revents & ~POLLOUT) != 0)
    static_cast<void>(::nbd_aio_notify_read(nbd_));
  else if (wants_write)
    static_cast<void>(::nbd_aio_notify_write(nbd_));
}

void NbdEngine::wake() {
  const std::uint64_t one = 1;
  while (::write(event_.fd(), &one, sizeof one) < 0 && errno == EINTR) {
  }
}

}  // namespace

Result<std::unique_ptr<Engine>> open_nbd_engine(const EngineOptions& options) {
  const int event = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (event < 0) return fail(Code::write_failed, "cannot make an eventfd: {}", errno_text(errno));
  return std::make_unique<NbdEngine>(options, File(event, "eventfd"));
}

}  // namespace stampede::disk

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "src/base/file.h"
#include "src/disk/engine.h"
#include "src/nbd/connection.h"

namespace stampede::disk {

namespace {

class NbdEngine final : public Engine {
 public:
  NbdEngine(const EngineOptions& options, File event) : nbd_(*options.nbd), event_(std::move(event)) {}

  std::string_view name() const override { return "nbd"; }
  void start(const Request& request) override;
  void wait(bool block, std::vector<Completion>& out) override;
  void wake() override;

 private:
  void go_on(bool block);

  nbd::Connection& nbd_;
  const File event_;  // eventfd
  bool woken_ = false;
  std::vector<Completion> completions_;
};

void NbdEngine::start(const Request& request) {
  // Called from within the connection's calls, hence on the engine's thread.
  const auto landed = [this, tag = request.tag, size = static_cast<int>(request.bytes.size())](int error) {
    completions_.push_back({tag, error == 0 ? size : -error});
  };
  if (request.write)
    nbd_.start_write(request.at, request.bytes, landed);
  else
    nbd_.start_read(request.at, request.bytes, landed);
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
  const auto waits = nbd_.waits();
  std::array<pollfd, 2> ready{{{event_.fd(), POLLIN, 0}, {waits.fd, waits.events, 0}}};
  if (::poll(ready.data(), ready.size(), block ? -1 : 0) <= 0) return;
  std::uint64_t count = 0;
  if (ready[0].revents != 0 && ::read(event_.fd(), &count, sizeof count) > 0) woken_ = true;
  nbd_.go_on(ready[1].revents);
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
